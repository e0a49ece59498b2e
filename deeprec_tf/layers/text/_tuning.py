"""Which weights of a language model are trained: all, those of the last blocks, or adapters."""

from functools import partial

import keras


def tune(backbone, trainable_layers, lora_rank):
    """Freezes a backbone but for what is to be trained.

    - "all": every weight that can have a gradient.
    - n: the last n transformer blocks and what follows them; 0 freezes everything.
    - adapters: keras-hub's `enable_lora`, that is low-rank matrices and the biases of query and
      value in every block.

    Another encoder may have frozen parts of the same backbone before: what it froze does not count.

    Args:
        backbone: a built keras-hub backbone.
        trainable_layers: "all", or how many blocks.
        lora_rank: rank of the adapters, or None.

    Raises:
        ValueError: more blocks than there are.
    """
    for layer in backbone._flatten_layers():
        layer.trainable = True
    if lora_rank is not None:
        backbone.enable_lora(lora_rank)
        for layer in backbone._flatten_layers(include_self=False):
            if getattr(layer, "lora_enabled", False):
                _save_unmerged(layer)
    elif trainable_layers != "all":
        _freeze_below(backbone, trainable_layers)
    _freeze_what_cannot_learn(backbone)


def _save_unmerged(layer):
    """Keras saves kernel plus adapter and loads adapters of zeros, which never learn again."""
    plain = keras.layers.Layer
    layer.save_own_variables = partial(plain.save_own_variables, layer)
    layer.load_own_variables = partial(plain.load_own_variables, layer)


def _freeze_below(backbone, blocks):
    known = list(getattr(backbone, "transformer_layers", ()))
    if blocks > len(known):
        raise ValueError(
            f"trainable_layers={blocks}, but {backbone.name} has {len(known)} transformer blocks."
        )
    layers = list(backbone.layers)
    first = layers.index(known[len(known) - blocks]) if blocks else len(layers)
    for number, layer in enumerate(layers):
        layer.trainable = number >= first


def _freeze_what_cannot_learn(backbone):
    pooler = getattr(backbone, "pooled_dense", None)  # reads what we do not answer from
    if pooler is not None:
        pooler.trainable = False
    for layer in backbone._flatten_layers(include_self=False):
        if layer.name == "key" and getattr(layer, "bias", None) is not None:
            layer.bias.trainable = False  # the same for every key: nothing under a softmax
        if getattr(layer, "reverse_embeddings", None) is not None and not layer.tie_weights:
            layer.reverse_embeddings.trainable = False  # for words to come; nothing reads it
