import numpy as np
import pytest

from deeprec_tf.data import hide_ids

IDS = np.random.default_rng(0).integers(0, 50, (2000, 5)).astype("int32")


def test_a_share_of_the_ids_is_hidden_and_padding_is_not():
    hidden = hide_ids(IDS, 0.3, seed=1)
    assert hidden.dtype == IDS.dtype and hidden.shape == IDS.shape
    assert (hidden[IDS == 0] == 0).all()
    changed = hidden != IDS
    assert (hidden[changed] == 1).all()
    assert changed[IDS > 1].mean() == pytest.approx(0.3, abs=0.02)


def test_the_seed_says_which():
    one, same, other = (hide_ids(IDS, 0.3, seed=seed) for seed in [(7, 1), (7, 1), (7, 2)])
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    assert (hide_ids(IDS, 0.0, seed=1) == IDS).all()
    assert (hide_ids(IDS, 1.0, seed=1, oov_id=3) == np.where(IDS > 0, 3, 0)).all()


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"hide_ids: share must be in \[0, 1\], got 1.5"):
        hide_ids(IDS, 1.5, seed=1)
    with pytest.raises(TypeError, match="hide_ids: ids must be integers, got float64"):
        hide_ids([0.5], 0.1, seed=1)
    with pytest.raises(ValueError, match="hide_ids: seed must be a whole number"):
        hide_ids(IDS, 0.1, seed=-1)
