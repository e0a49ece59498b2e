"""Initializers that several weights of a layer share.

A name stays a name until a weight is made, so that naming the default draws no more seeds than
leaving it out.
"""

import keras


def initializer_of(identifier):
    """The initializer of a name, a config or itself; a name as it is."""
    return identifier if isinstance(identifier, str) else keras.initializers.get(identifier)


def fresh(initializer):
    """For one weight: a copy with a seed of its own, where none was given."""
    return initializer if isinstance(initializer, str) else initializer.clone()


def initializer_config(initializer):
    """What `initializer_of` makes the initializer from."""
    if isinstance(initializer, str):
        return initializer
    return keras.initializers.serialize(initializer)
