"""Sessions of several lengths and models full of noise, for tests of session models."""

import numpy as np

from deeprec_tf.export import user_encoder
from tests.models.recall.test_sasrec import walks


def sessions():
    """Five rows: a short one, an empty one and three full ones."""
    x = walks(rows=5)
    x["hist_item_id"][0, 2:] = 0
    x["hist_item_id"][3] = 0
    return x


def noise(model, scale=0.7):
    """The model with noise in its weights, and these in float64 by path."""
    generator = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(generator.normal(scale=scale, size=weight.shape))
    return model, {weight.path: weight.numpy().astype("float64") for weight in model.weights}


def users_of(model, x):
    """User vectors."""
    users = user_encoder(model).predict({"hist_item_id": x["hist_item_id"]}, verbose=0)
    return users["user_vector"]
