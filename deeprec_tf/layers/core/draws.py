"""Layers that draw at random, and go on where they were when a saved model is loaded."""

import keras
import numpy as np


class DrawingLayer(keras.layers.Layer):
    """A layer with a seed generator whose state is saved with the weights.

    Keras does not save it: training that is resumed from a file would see other draws.

    Args:
        seed: seed of the draws; one from Keras's global seed when None.
    """

    gains_from_xla = False  # ids drawn outside and inside a compiled part would differ

    def __init__(self, *, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def save_own_variables(self, store):
        """Weights and the state of the draws."""
        super().save_own_variables(store)
        store["seed_state"] = np.asarray(self.seed_generator.state)

    def load_own_variables(self, store):
        """Weights and the state of the draws."""
        state = np.asarray(store["seed_state"])
        super().load_own_variables({k: store[k] for k in store.keys() if k != "seed_state"})
        self.seed_generator.state.assign(state)

    def get_config(self):
        """Returns the seed."""
        return {**super().get_config(), "seed": self.seed}
