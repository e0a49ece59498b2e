"""Layers that draw at random, and go on where they were when a saved model is loaded."""

import keras
import numpy as np


class DrawingLayer(keras.layers.Layer):
    """A layer with a seed generator whose state is saved with the weights.

    Keras does not save it: training that is resumed from a file would see other draws.

    Args:
        seed: seed of the draws; one from Keras's global seed when None.
        draws: False where the layer's arguments leave nothing to draw: there is no generator then.
    """

    def __init__(self, *, seed=None, draws=True, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed) if draws else None

    def save_own_variables(self, store):
        """Weights and the state of the draws."""
        super().save_own_variables(store)
        if self.seed_generator is not None:
            store["seed_state"] = np.asarray(self.seed_generator.state)

    def load_own_variables(self, store):
        """Weights and the state of the draws, where the file has one and the layer draws."""
        weights = {key: store[key] for key in store.keys()}
        state = weights.pop("seed_state", None)
        super().load_own_variables(weights)
        if state is not None and self.seed_generator is not None:
            self.seed_generator.state.assign(np.asarray(state))

    def get_config(self):
        """Returns the seed."""
        return {**super().get_config(), "seed": self.seed}
