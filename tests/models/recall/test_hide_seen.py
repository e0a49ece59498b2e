"""Items of a row's own history are no negatives of it, in every model that has a history."""

import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf import SparseFeat, VarLenSparseFeat
from deeprec_tf.candidates import InBatch, Sampled
from deeprec_tf.export import item_encoder, user_encoder
from deeprec_tf.models import (
    DSSM,
    HSTU,
    MIND,
    NARM,
    SINE,
    STAMP,
    BERT4Rec,
    ComiRec,
    FaceBookDSSM,
    GRU4Rec,
    SASRec,
    YoutubeDNN,
    YoutubeSBC,
)
from tests.reference import recall as twin

ITEM = SparseFeat("item_id", 9)
PASTS = [
    VarLenSparseFeat(SparseFeat(name, 9, embedding_name="item_id"), 5)
    for name in ("hist_item_id", "bought")
]
X = {
    "hist_item_id": np.array([[2, 3, 0], [1, 0, 0], [0, 0, 0], [1, 2, 3]]),
    "bought": np.array([[0, 0], [4, 0], [0, 0], [8, 0]]),
    "item_id": np.array([1, 2, 3, 4]),
}


@pytest.mark.parametrize(
    ("builder", "pasts", "options"),
    [
        (DSSM, PASTS, {}),
        (FaceBookDSSM, PASTS, {"loss": "softmax"}),
        (YoutubeSBC, PASTS[:1], {}),
        (YoutubeDNN, PASTS, {"temperature": 0.5}),
        (YoutubeDNN, PASTS[:1], {"tied": False, "temperature": 0.5}),
        (MIND, PASTS[:1], {"num_interests": 1, "temperature": 0.5}),
        (ComiRec, PASTS[:1], {"num_interests": 1, "temperature": 0.5}),
        (SINE, PASTS[:1], {"num_prototypes": 5, "attention_units": 4, "temperature": 0.5}),
    ],
)
def test_what_the_rows_history_holds_does_not_count(builder, pasts, options):
    losses = {}
    x = {name: X[name] for name in ("item_id", *(past.name for past in pasts))}
    seen = np.concatenate([x[past.name] for past in pasts], axis=1)
    for hides in (True, False):
        model = builder(pasts, [ITEM], negatives=InBatch(hide_seen=hides), **options)
        users = {past.name: x[past.name] for past in pasts}
        user = user_encoder(model).predict(users, verbose=0)["user_vector"].reshape(4, -1)
        item = item_encoder(model).predict({"item_id": x["item_id"]}, verbose=0)["item_vector"]
        wanted = twin.retrieval_loss(
            twin.softmax_loss, user.astype("float64"), item, x["item_id"],
            [(x["item_id"], item, None)], temperature=options.get("temperature", 0.05),
            seen=seen if hides else None,
        ).mean()
        losses[hides] = model.evaluate(x, batch_size=4, verbose=0)
        assert losses[hides] == pytest.approx(wanted, rel=1e-4)
    assert losses[True] != losses[False]


@pytest.mark.parametrize("builder", [BERT4Rec, GRU4Rec, HSTU, NARM, SASRec, STAMP])
def test_the_only_item_that_is_drawn_counts_where_the_history_has_it_not(builder):
    """Each is drawn as item 7, always: hidden from a row that had it, nothing is left to lose."""
    drawn = {"distribution": "popularity", "counts": np.eye(9)[7]}
    with_it = {"hist_item_id": np.array([[2, 7, 3, 0, 0]]), "item_id": np.array([4])}
    without = {"hist_item_id": np.array([[2, 5, 3, 0, 0]]), "item_id": np.array([4])}
    losses = {}
    for hides in (True, False):
        model = builder(PASTS[:1], [ITEM], negatives=Sampled(3, hide_seen=hides, **drawn))
        losses[hides] = [model.evaluate(x, verbose=0) for x in (with_it, without)]
        each = builder(PASTS[:1], [ITEM], negatives=Sampled(3, hide_seen=hides, each=True, **drawn))
        each.set_weights(model.get_weights())
        shapes = {"hist_item_id": [None], "item_id": []}  # the number of steps is not known before
        for x, wanted in zip((with_it, without), losses[hides], strict=True):
            rows = tf.data.Dataset.from_tensor_slices(x).padded_batch(1, shapes)
            assert each.evaluate(rows, verbose=0) == pytest.approx(wanted, rel=1e-5, abs=1e-6)
    assert losses[True][0] == pytest.approx(0, abs=1e-6)
    assert min(losses[False] + losses[True][1:]) > 0.05
