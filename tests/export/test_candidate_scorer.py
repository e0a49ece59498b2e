import keras
import numpy as np
import pytest

from deeprec_tf import get_model, next_item_columns
from deeprec_tf.export import candidate_scorer
from deeprec_tf.layers.attention import hstu_block
from deeprec_tf.models import HSTU, SASRec
from tests.contract.checks import dtype_policy
from tests.contract.data import CATEGORIES, ITEMS, subject_of

WINDOWS = {"level1_window_size": 2, "level2_window_size": 2}
FORMS = {
    "all": ({}, ()),
    "windows, own time": ({"query_time": "own", "hierarchical_params": WINDOWS}, ("actions",)),
    "plain": ({"item_table": None, "stochastic_length": 1.5}, ("times", "actions", "context")),
}
GENERATOR = np.random.default_rng(0)
M = 7
CANDIDATES = {
    "item_id": GENERATOR.integers(1, ITEMS, M), "cate_id": GENERATOR.integers(1, CATEGORIES, M),
}


def ranker(form):
    """A model full of noise, and inputs of several users."""
    options, without = FORMS[form]
    subject = subject_of(
        get_model("HSTU"), options={**options, "mode": "ranking"}, without=without
    )
    return subject.lively, subject.batch()


def one_by_one(model, user):
    """The probability of every candidate as a row of its own."""
    rows = {name: np.repeat(array, M, axis=0) for name, array in user.items()}
    return np.concatenate([
        model.predict(
            {name: array[i : i + 1] for name, array in (rows | CANDIDATES).items()}, verbose=0
        )[:, 0]
        for i in range(M)
    ])


def users_of(batch):
    """Rows of one user each: without a history, with a full one, and another."""
    for row in range(3):
        yield {name: array[row : row + 1] for name, array in batch.items()
               if name not in CANDIDATES}


@pytest.mark.parametrize("form", FORMS)
def test_it_equals_scoring_one_by_one(form):
    model, batch = ranker(form)
    score, in_parts = candidate_scorer(model), candidate_scorer(model, micro_batch=3)
    for user in users_of(batch):
        wanted = one_by_one(model, user)
        assert np.ptp(wanted) > 1e-3
        np.testing.assert_allclose(score(user, CANDIDATES), wanted, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(in_parts(user, CANDIDATES), wanted, rtol=1e-5, atol=1e-6)


def test_also_in_chunks_and_of_a_reloaded_model(tmp_path, monkeypatch):
    model, batch = ranker("all")
    user = list(users_of(batch))[2]
    wanted = one_by_one(model, user)
    monkeypatch.setattr(hstu_block, "LONG", 0)
    np.testing.assert_allclose(candidate_scorer(model)(user, CANDIDATES), wanted, atol=1e-6)
    model.save(tmp_path / "hstu.keras")
    loaded = keras.models.load_model(tmp_path / "hstu.keras")
    np.testing.assert_allclose(candidate_scorer(loaded)(user, CANDIDATES), wanted, atol=1e-6)


def test_a_candidate_does_not_see_the_others_and_the_history_is_encoded_once():
    model, batch = ranker("all")
    score = candidate_scorer(model)
    encoded = score.encode(list(users_of(batch))[1])
    whole = score.score(encoded, CANDIDATES)
    fewer = {name: array[2:4] for name, array in CANDIDATES.items()}
    np.testing.assert_allclose(score.score(encoded, fewer), whole[2:4], rtol=1e-6)
    none = {name: array[:0] for name, array in CANDIDATES.items()}
    with pytest.raises(ValueError, match="candidate_scorer: candidates"):
        score.score(encoded, none)


def test_it_answers_with_the_weights_of_the_day():
    model, batch = ranker("plain")
    score, user = candidate_scorer(model), list(users_of(batch))[1]
    before = score(user, CANDIDATES)
    for weight in model.trainable_weights:
        weight.assign(weight * 1.1)
    after = score(user, CANDIDATES)
    assert np.abs(after - before).max() > 1e-4
    np.testing.assert_allclose(after, one_by_one(model, user), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("long", [False, True])
def test_in_half_precision_too(long, monkeypatch):
    monkeypatch.setattr(hstu_block, "LONG", 0 if long else hstu_block.LONG)
    with dtype_policy("mixed_bfloat16"):
        model, batch = ranker("all")
        score = candidate_scorer(model)
        for user in users_of(batch):
            np.testing.assert_allclose(
                score(user, CANDIDATES), one_by_one(model, user), atol=0.02
            )


def test_what_predict_refuses_is_not_scored():
    model, batch = ranker("all")
    score = candidate_scorer(model)
    user = {name: array[1:2].copy() for name, array in batch.items() if name not in CANDIDATES}
    gap = {**user, "hist_item_id": np.roll(user["hist_item_id"], 1, axis=1)}
    gap["hist_item_id"][0, :2] = [0, 3]
    with pytest.raises(ValueError, match=r"'hist_item_id' has padding \(0\) before a real id"):
        score(gap, CANDIDATES)
    (actions,) = (name for name in user if name.startswith("hist_act"))
    with pytest.raises(ValueError, match=f"'{actions}' holds"):
        score({**user, actions: 5 + user[actions]}, CANDIDATES)
    with pytest.raises(ValueError, match="They go side by side"):
        score({**user, actions: user[actions][:, :-1]}, CANDIDATES)


def test_errors():
    columns = next_item_columns(10, maxlen=4)
    with pytest.raises(ValueError, match="sasrec is no HSTU for ranking"):
        candidate_scorer(SASRec(*columns))
    with pytest.raises(ValueError, match="hstu is no HSTU for ranking"):
        candidate_scorer(HSTU(*columns))
    model = HSTU(*columns, mode="ranking")
    with pytest.raises(ValueError, match="micro_batch must be a whole number from 1 on, got 0"):
        candidate_scorer(model, micro_batch=0)
    with pytest.raises(ValueError, match=r"user must have one row, got \[2\]"):
        candidate_scorer(model)({"hist_item_id": [[1, 2], [3, 0]]}, {"item_id": [1]})
    with pytest.raises(ValueError, match="candidates: the input 'item_id' .* is missing"):
        candidate_scorer(model)({"hist_item_id": [[1, 2]]}, {"item": [1]})
