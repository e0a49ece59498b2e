"""Items without a past are found by their features, if the model learned to do without ids."""

import keras
import numpy as np

from deeprec_tf import SparseFeat, next_item_columns
from deeprec_tf.data import hide_ids
from deeprec_tf.evaluation import evaluate_retrieval
from deeprec_tf.export import item_encoder
from deeprec_tf.models import DSSM, SASRec
from deeprec_tf.training import warm_start

USERS, KINDS, STYLES = 200, 8, 3
KNOWN, COLD, BEST = 8 * 12, 8 * 5, 5
FIRST = 2  # 0 is padding, 1 out of vocabulary


class World:
    """Users who like one kind of items, and of these one style, which no feature tells."""

    def __init__(self, seed):
        self.generator = np.random.default_rng(seed)
        count = FIRST + KNOWN + COLD
        self.kind = np.concatenate(
            [np.zeros(FIRST, int), np.arange(KNOWN) % KINDS + 1, np.arange(COLD) % KINDS + 1]
        )
        style = self.generator.integers(0, STYLES, count)
        likes = self.generator.integers(1, KINDS + 1, (USERS, 1))
        of_style = self.generator.integers(0, STYLES, (USERS, 1))
        self.taste = (self.kind == likes) * np.where(style == of_style, 1.0, 0.1) + 0.003

    known = np.arange(FIRST, FIRST + KNOWN)
    cold = np.arange(FIRST + KNOWN, FIRST + KNOWN + COLD)

    def ids(self, items):
        """What a model of ids alone reads of items."""
        return {"item_id": items}

    def features(self, items):
        """The same and the kind, which is known of items without a past, too."""
        return {"item_id": items, "kind": self.kind[items]}

    def chosen(self, items, users):
        """What each of the users takes of the items."""
        chance = self.taste[:, items]
        below = (chance / chance.sum(axis=1, keepdims=True)).cumsum(axis=1)
        draws = self.generator.random((len(users), 1))
        return items[np.minimum((draws > below[users]).sum(axis=1), len(items) - 1)]


def hit_rates(seed, *, kinds=True, share=0.0):
    """HR@5 among the items without a past, and among the known ones."""
    keras.utils.set_random_seed(seed)
    world = World(seed)
    known, cold = world.known, world.cold
    users = np.repeat(np.arange(USERS), 30)
    bought = world.chosen(known, users)

    features = world.features if kinds else world.ids

    def build(size):
        columns = [SparseFeat("item_id", size, embedding_dim=16)]
        columns += [SparseFeat("kind", KINDS + 1, embedding_dim=4)] if kinds else []
        return DSSM(
            [SparseFeat("user", USERS, embedding_dim=16)], columns, hidden_units=(32, 16),
            optimizer=keras.optimizers.Adam(0.01),
        )  # fmt: skip

    older = build(cold[0])
    older.fit(
        {"user": users, **features(bought)}, batch_size=256, epochs=15, verbose=0,
        redraw=lambda epoch: {"item_id": hide_ids(bought, share, seed=(seed, epoch))},
    )  # fmt: skip
    model = build(cold[-1] + 1)
    warm_start(model, older, new_rows="oov" if kinds else "initial")  # one row would be one place
    everyone = {"user": np.arange(USERS)}
    return [
        evaluate_retrieval(
            model, everyone, world.chosen(ids, everyone["user"]), items=features(ids), k=BEST,
            metrics=["hr"],
        )[f"hr@{BEST}"]
        for ids in (cold, known)
    ]  # fmt: skip


def test_cold_items_are_found_by_their_features():
    chance = BEST / COLD
    by_id, _ = hit_rates(2, kinds=False)
    leaning_on_ids, known = hit_rates(2)
    hidden, known_hidden = hit_rates(2, share=0.2)
    assert by_id < chance + 0.06
    assert hidden > 6 * chance and hidden > 5 * by_id
    assert hidden > leaning_on_ids + 0.05
    assert known_hidden > known - 0.03  # what has a past does not pay for it


def test_a_new_row_encodes_as_the_unknown_id_did():
    columns = [SparseFeat("item_id", 9), SparseFeat("kind", 4)]
    older = DSSM([SparseFeat("user", 5)], columns, hidden_units=(6, 4))
    x = {"user": np.arange(5), "item_id": [1, 2, 3, 1, 8], "kind": [1, 2, 3, 3, 1]}
    older.fit(x, epochs=15, verbose=0)
    model = DSSM(
        [SparseFeat("user", 5)], [SparseFeat("item_id", 11), columns[1]], hidden_units=(6, 4)
    )
    warm_start(model, older, new_rows="oov")
    kinds = np.array([1, 3])
    np.testing.assert_array_equal(*(
        item_encoder(one).predict({"item_id": ids, "kind": kinds}, verbose=0)["item_vector"]
        for one, ids in [(older, np.array([1, 1])), (model, np.array([9, 10]))]
    ))  # fmt: skip


def hit_rates_of_next_items(seed, *, kinds):
    """HR@5 of SASRec among the items without a past, and among the known ones."""
    keras.utils.set_random_seed(seed)
    world = World(seed)
    known, cold = world.known, world.cold
    users, steps = np.repeat(np.arange(USERS), 4), 8
    paths = world.chosen(known, np.repeat(users, steps)).reshape(-1, steps)
    x = {"hist_item_id": paths[:, :-1], "item_id": paths[:, -1]}

    def build(size):
        history, items = next_item_columns(size - 1, maxlen=steps - 1, embedding_dim=16)
        items += [SparseFeat("kind", KINDS + 1, embedding_dim=16)] if kinds else []
        return SASRec(
            history, items, item_table={"kind": world.kind[:size]} if kinds else None,
            optimizer=keras.optimizers.Adam(0.01),
        )  # fmt: skip

    features = world.features if kinds else world.ids

    older = build(cold[0])
    older.fit({**x, **features(x["item_id"])}, batch_size=128, epochs=10, verbose=0)
    model = build(cold[-1] + 1)
    warm_start(model, older, new_rows="mean" if kinds else "initial")
    return [
        evaluate_retrieval(
            model, {"hist_item_id": x["hist_item_id"]}, world.chosen(ids, users),
            items=features(ids), k=BEST, metrics=["hr"],
        )[f"hr@{BEST}"]
        for ids in (cold, known)
    ]  # fmt: skip


def test_a_sequence_model_finds_cold_items_by_their_features():
    chance = BEST / COLD
    by_id, known_by_id = hit_rates_of_next_items(2, kinds=False)
    by_kind, known = hit_rates_of_next_items(2, kinds=True)
    assert by_id < 2 * chance
    assert by_kind > 6 * chance and by_kind > 4 * by_id
    assert known > known_by_id - 0.15  # seeds 0 to 3: 0.01 more to 0.09 less
