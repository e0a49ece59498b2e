"""The sample that made DIEN known in TensorFlow: three rows, with and without negatives."""

import keras
import numpy as np
import pytest

from deeprec_tf import DenseFeat, SparseFeat, VarLenSparseFeat, get_feature_names
from deeprec_tf.models import DIEN


def sample(use_neg, hash_flag=False):
    columns = [
        SparseFeat("user", 3, embedding_dim=10, use_hash=hash_flag),
        SparseFeat("gender", 2, embedding_dim=4, use_hash=hash_flag),
        SparseFeat("item_id", 3 + 1, embedding_dim=8, use_hash=hash_flag),
        SparseFeat("cate_id", 2 + 1, embedding_dim=4, use_hash=hash_flag),
        DenseFeat("pay_score", 1),
    ]
    values = {
        "user": np.array([0, 1, 2]),
        "gender": np.array([0, 1, 0]),
        "item_id": np.array([1, 2, 3]),
        "cate_id": np.array([1, 2, 2]),
        "hist_item_id": np.array([[1, 2, 3, 0], [1, 2, 3, 0], [1, 2, 0, 0]]),
        "hist_cate_id": np.array([[1, 2, 2, 0], [1, 2, 2, 0], [1, 2, 0, 0]]),
        "pay_score": np.array([0.1, 0.2, 0.3]),
        "seq_length": np.array([3, 3, 2]),
    }
    for prefix in ("hist_", "neg_hist_") if use_neg else ("hist_",):
        for item, size, width in (("item_id", 3 + 1, 8), ("cate_id", 2 + 1, 4)):
            feat = SparseFeat(
                prefix + item, size, embedding_dim=width, embedding_name=item, use_hash=hash_flag
            )
            columns.append(VarLenSparseFeat(feat, maxlen=4, length_name="seq_length"))
            values[prefix + item] = values["hist_" + item]
    x = {name: values[name] for name in get_feature_names(columns)}
    return x, np.array([1, 0, 1]), columns, ["item_id", "cate_id"]


@pytest.mark.parametrize("use_neg", [True, False])
@pytest.mark.parametrize("gru_type", ["AUGRU", "GRU"])
def test_sample_runs_saves_and_loads(use_neg, gru_type, tmp_path):
    x, y, columns, behaviors = sample(use_neg)
    model = DIEN(columns, behaviors, gru_type=gru_type, use_negsampling=use_neg)
    model.compile("adam", "binary_crossentropy", metrics=["binary_crossentropy"])
    history = model.fit(x, y, verbose=0, epochs=2, validation_split=0.5).history
    names = {"loss", "binary_crossentropy", *(["auxiliary_loss"] if use_neg else [])}
    assert set(history) == names | {f"val_{name}" for name in names}
    assert np.isfinite(list(history.values())).all()
    model.save(tmp_path / "dien.keras")
    loaded = keras.saving.load_model(tmp_path / "dien.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    assert int(loaded.optimizer.iterations) == int(model.optimizer.iterations) == 2


def test_sample_with_hashing():
    """Hashing needs int64 keys and a second row besides padding."""
    x, y, columns, behaviors = sample(True, hash_flag=True)
    model = DIEN(columns, behaviors, use_negsampling=True)
    assert model.input["user"].dtype == "int64"
    model.fit(x, y, verbose=0)
    assert np.isfinite(model.predict(x, verbose=0)).all()


def test_the_auxiliary_loss_is_part_of_the_loss():
    x, y, columns, behaviors = sample(True)
    model = DIEN(columns, behaviors, use_negsampling=True, metrics=["binary_crossentropy"])
    history = model.fit(x, y, verbose=0).history
    assert history["loss"][0] > history["binary_crossentropy"][0] + 1
