import numpy as np
import pytest

from deeprec_tf.sequence_recall import two_dropouts


@pytest.mark.parametrize("dropout", [np.float32(0.25), 0.25, (0.25, np.float64(0.25))])
def test_two_dropouts(dropout):
    assert two_dropouts(dropout, owner="NARM") == (0.25, 0.25)


@pytest.mark.parametrize("dropout", [1.0, np.float32(-0.5), (0.1,)])
def test_two_dropouts_outside(dropout):
    with pytest.raises(ValueError, match="NARM: dropout must be one number in"):
        two_dropouts(dropout, owner="NARM")
