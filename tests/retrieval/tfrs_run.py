"""What test_tfrs_backend.py asks of a process of its own: TFRS turns tf.keras to Keras 2 there."""

import importlib.util
import os
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from deeprec_tf.export import user_encoder
from deeprec_tf.retrieval import ItemIndex, Tfrs
from tests.retrieval.samples import seen, towers

USERS = {"user": np.arange(6), "hist_item_id": np.arange(18).reshape(6, 3)}


def search():
    """Every kind agrees with the exact index, and Keras 3 goes on working."""
    model = towers(interests=2)
    items = {"item_id": np.arange(1, 50)}
    x = {**USERS, "item_id": np.arange(1, 7)}
    model.fit(x, np.ones(6), verbose=0)
    queries = user_encoder(model).predict(USERS, verbose=0)["user_vector"]
    exclude = seen(items["item_id"], 6, 20)
    exact = ItemIndex.of_model(model, items)
    wanted = exact.search(queries, 9, exclude=exclude)
    kinds = ["brute_force", "streaming"]
    if importlib.util.find_spec("scann"):
        kinds.append("scann")
    for kind in kinds:
        backend = Tfrs(kind, leaves=2, leaves_to_search=2)
        index = ItemIndex.of_model(model, items, backend=backend)
        np.testing.assert_array_equal(index.search(queries, 9, exclude=exclude).ids, wanted.ids)
        np.testing.assert_array_equal(index.search(queries, 49).ids, exact.search(queries, 49).ids)
        with tempfile.TemporaryDirectory() as folder:
            index.save(Path(folder) / "index")
            again = ItemIndex.load(Path(folder) / "index")
            assert again.backend == backend
            np.testing.assert_array_equal(again.search(queries, 9, exclude=exclude).ids, wanted.ids)
    assert "TF_USE_LEGACY_KERAS" not in os.environ
    model.fit(x, np.ones(6), verbose=0)
    model.save(Path(tempfile.mkdtemp()) / "towers.keras")
    assert isinstance(towers(), keras.Model)
    sys.stdout.write(f"searched with {kinds}")


def too_late():
    """tf.keras was used before: the error says so."""
    sys.stdout.write(tf.keras.__name__)
    ItemIndex("tfrs").build(np.eye(2))


if __name__ == "__main__":
    {"search": search, "too_late": too_late}[sys.argv[1]]()
