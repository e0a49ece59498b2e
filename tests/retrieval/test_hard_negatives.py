import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf import SparseFeat, VarLenSparseFeat
from deeprec_tf.candidates import Given
from deeprec_tf.export import user_encoder
from deeprec_tf.models import DSSM
from deeprec_tf.retrieval import ItemIndex, hard_negatives, mine_hard_negatives
from tests.reference import retrieval as twin
from tests.reference.recall import retrieval_loss, softmax_loss
from tests.retrieval.samples import Few, catalogue, clustered, seen

ITEMS, ROWS = 300, 40


@pytest.fixture(scope="module")
def mined():
    """(index, queries, positives, excluded lists, ids by rank without both, for every user)."""
    _, ids = catalogue(ITEMS)
    vectors, queries = clustered(ITEMS), clustered(ROWS, seed=1)
    positives = np.random.default_rng(2).choice(ids, ROWS)
    exclude = seen(ids, ROWS, 30)
    without = [[*lists, item] for lists, item in zip(exclude, positives, strict=True)]
    ranked, _ = twin.search(
        queries.astype("float32"), vectors.astype("float32"), ids.tolist(), 60, without
    )
    return ItemIndex().build(vectors, ids), queries, positives, exclude, np.array(ranked)


@pytest.mark.parametrize("rows_at_a_time", [4096, 7])
def test_ids_come_from_the_ranks_alone_and_all_of_them_do(mined, rows_at_a_time, monkeypatch):
    index, queries, positives, exclude, ranked = mined
    monkeypatch.setattr(hard_negatives, "_ROWS", rows_at_a_time)
    drawn = mine_hard_negatives(
        index, queries, positives, ranks=(11, 50), number=40, exclude=exclude
    )
    np.testing.assert_array_equal(np.sort(drawn), np.sort(ranked[:, 10:50]))
    assert (drawn != ranked[:, 10:50]).mean() > 0.9  # in random order


def test_every_rank_is_as_likely(mined):
    index, queries, positives, exclude, ranked = mined
    ranks = [
        np.argmax(ranked == mine_hard_negatives(
            index, queries, positives, ranks=(3, 7), exclude=exclude, seed=(1, epoch)
        ), axis=1)
        for epoch in range(50)
    ]  # fmt: skip
    counts = np.bincount(np.concatenate(ranks), minlength=60)
    assert counts[2:7].sum() == 50 * ROWS and counts[2:7].min() > 330  # of 400


def test_the_positive_never_comes_however_it_is_given(mined):
    index, queries, positives, _, _ = mined
    wanted = mine_hard_negatives(index, queries, positives, ranks=(1, 3), number=3)
    assert not (wanted == positives[:, None]).any()
    alone = index.search(queries, 1).ids
    assert (mine_hard_negatives(index, queries, alone, ranks=(1, 1)) != alone).all()
    forms = [
        positives.tolist(), positives[:, None], [[item] for item in positives],
        np.stack([positives, np.zeros(ROWS, int)], axis=1), tf.ragged.constant(positives[:, None]),
    ]
    for form in forms:
        again = mine_hard_negatives(index, queries, form, ranks=(1, 3), number=3)
        np.testing.assert_array_equal(again, wanted)


def test_the_seed_decides(mined):
    index, queries, positives, _, _ = mined
    first, again, other = (
        mine_hard_negatives(index, queries, positives, ranks=(1, 60), seed=seed)
        for seed in (4, 4, 5)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.8


def test_ranks_of_numpy(mined):
    index, queries, positives, _, _ = mined
    drawn, wanted = (
        mine_hard_negatives(index, queries, positives, ranks=ranks)
        for ranks in ((np.int64(2), np.int32(5)), (2, 5))
    )
    np.testing.assert_array_equal(drawn, wanted)


def test_several_interests_and_text_ids():
    index = ItemIndex().build(np.eye(4), ["a", "b", "c", "d"])
    queries = [[[3.0, 0, 0, 0], [0, 2.0, 0, 0]], [[0, 0, 0, 1.0], [0, 0, 0.5, 0]]]
    drawn = mine_hard_negatives(index, queries, ["a", "a"], ranks=(1, 1))
    assert drawn.tolist() == [["b"], ["d"]]


def test_too_few_are_drawn_again_and_none_is_an_error():
    index = ItemIndex().build(np.diag([5.0, 4, 3, 2, 1]), [1, 2, 3, 4, 5])
    queries = np.ones((2, 5))
    drawn = mine_hard_negatives(
        index, queries, [1, 1], ranks=(2, 5), number=3, exclude=[[2, 3], []]
    )
    assert drawn[0].tolist() == [5, 5, 5] and len(set(drawn[1])) == 3
    with pytest.raises(ValueError, match="for query 1 no item has a rank from 3 to 5"):
        mine_hard_negatives(index, queries, [1, 1], ranks=(3, 5), exclude=[[], [2, 3]])
    few = ItemIndex(Few(step=4)).build(index.vectors, index.ids)
    assert mine_hard_negatives(few, queries, [2, 2], ranks=(1, 3), number=2).min() == 1


def test_what_was_mined_is_trained_against():
    generator = np.random.default_rng(0)
    kinds = generator.integers(1, 4, 31)
    item, kind = SparseFeat("item_id", 31), SparseFeat("kind", 4)
    given = [
        VarLenSparseFeat(SparseFeat(f"neg_{c.name}", c.vocabulary_size, embedding_name=c.name), 3)
        for c in (item, kind)
    ]
    model = DSSM(
        [SparseFeat("user", 8)], [item, kind, *given], hidden_units=(6,), negatives=Given(),
        item_table={"kind": kinds},
    )
    items = {"item_id": np.arange(1, 31), "kind": kinds[1:]}
    index = ItemIndex.of_model(model, items, "item_id")
    users, positives = {"user": np.arange(8)}, generator.integers(1, 31, 8)
    queries = user_encoder(model).predict(users, verbose=0)["user_vector"]
    mined = mine_hard_negatives(index, queries, positives, ranks=(2, 6), number=3)
    x = {
        **users, "item_id": positives, "kind": kinds[positives], "neg_item_id": mined,
        "neg_kind": kinds[mined],
    }
    vectors = np.concatenate([np.zeros((1, 6)), index.vectors])  # row i is item i
    wanted = retrieval_loss(
        softmax_loss, queries.astype("float64"), vectors[positives], positives,
        [(mined, vectors[mined], None)], temperature=0.05,
    ).mean()
    assert model.evaluate(x, verbose=0) == pytest.approx(wanted, rel=1e-4)
    losses = model.fit(x, epochs=30, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 2


ERRORS = {
    "ranks must satisfy 1 <= first <= last <= 5": [{"ranks": (1, 6)}, {"ranks": (0, 2)}, {}],
    "ranks must be \\(first, last\\), two integers": [
        {"ranks": (1.0, 2)}, {"ranks": 3}, {"ranks": (True, 2)}
    ],
    "number must be a whole number of at least 1": [{"ranks": (1, 2), "number": 0}],
    "exclude has 1 rows, the queries have 2": [{"ranks": (1, 2), "exclude": [[1]]}],
}


@pytest.mark.parametrize("message", ERRORS)
def test_errors(message):
    index = ItemIndex().build(np.eye(5), [1, 2, 3, 4, 5])
    for arguments in ERRORS[message]:
        with pytest.raises(ValueError, match=f"mine_hard_negatives: {message}"):
            mine_hard_negatives(index, np.ones((2, 5)), [1, 2], **arguments)
    with pytest.raises(TypeError, match="positives holds text, the index's ids are integers"):
        mine_hard_negatives(index, np.ones((1, 5)), ["a"], ranks=(1, 2))
