import numpy as np
import pytest

from deeprec_tf.data import TextPairs
from deeprec_tf.export import export_saved_model, load_saved_model
from deeprec_tf.models import TextRanker
from tests.language_models import bert_tokenizer, tiny_bert

TEXTS = {"user_text": ["a b c", "", "d " * 40], "item_text": ["k l", "m", "n a b"]}


@pytest.mark.parametrize("form", ["cross_encoder", "bi_encoder"])
def test_a_served_text_model_takes_strings(form, tmp_path):
    pairs = TextPairs(bert_tokenizer(), form=form, maxlen=16)
    model = TextRanker(tiny_bert(), form=form)
    export_saved_model(model, tmp_path, encoder=pairs)
    tokens = pairs.transform(TEXTS)
    wanted = model.predict(tokens, verbose=0)
    served = load_saved_model(tmp_path)
    assert {name: (info.dtype, info.shape) for name, info in served.inputs.items()} == {
        "user_text": ("str", (None,)), "item_text": ("str", (None,)),
    }  # fmt: skip
    got = served({name: np.array(texts) for name, texts in TEXTS.items()})
    np.testing.assert_allclose(got["probability"], wanted, atol=1e-6)
    by_ids = load_saved_model(tmp_path, "ids")(tokens)
    np.testing.assert_allclose(by_ids["probability"], wanted, atol=1e-6)
    assert np.ptp(wanted) > 1e-4
