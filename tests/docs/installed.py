"""Uses the installed package, away from its sources: run by .ci/run, not by pytest."""

import importlib.metadata
import pathlib
import sys
import tempfile

import keras
import numpy as np

import deeprec_tf
from deeprec_tf import SparseFeat, VarLenSparseFeat
from deeprec_tf.data import load_movielens
from deeprec_tf.models import DIEN

home = pathlib.Path(deeprec_tf.__file__).parent
assert home.is_relative_to(sys.prefix), f"{home} is not the installed package"
assert (home / "py.typed").is_file()
assert importlib.metadata.version("deeprec-tf") == deeprec_tf.__version__
licences = [
    str(file) for file in importlib.metadata.files("deeprec-tf") if "licenses" in file.parts
]
for name in ("LICENSE", "NOTICE"):
    assert any(licence.endswith(name) for licence in licences), f"{name} not in {licences}"

data = load_movielens()
assert len(data.ratings) == 100_004
assert "commercial" in data.license and "Harper" in data.citation

rng = np.random.default_rng(1)
x = {
    "item_id": rng.integers(1, 30, 256),
    "hist_item_id": rng.integers(1, 30, (256, 5)),
    "neg_hist_item_id": rng.integers(1, 30, (256, 5)),
}
y = (x["item_id"] == x["hist_item_id"][:, -1]) | (rng.random(256) < 0.3)
histories = [
    VarLenSparseFeat(SparseFeat(name, 30, embedding_dim=4, embedding_name="item_id"), maxlen=5)
    for name in ("hist_item_id", "neg_hist_item_id")
]
model = DIEN([SparseFeat("item_id", 30, embedding_dim=4), *histories], ["item_id"])
losses = model.fit(x, y, epochs=2, batch_size=64, verbose=0).history["loss"]
assert np.isfinite(losses).all()
with tempfile.TemporaryDirectory() as folder:
    model.save(f"{folder}/dien.keras")
    again = keras.saving.load_model(f"{folder}/dien.keras")
    np.testing.assert_allclose(
        again.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6
    )
sys.stdout.write(f"deeprec_tf {deeprec_tf.__version__} works from {home.parent.name}\n")
