"""A new model begins where an older one stands."""

import keras
import numpy as np
import pytest

from deeprec_tf import SparseFeat, VarLenSparseFeat
from deeprec_tf.candidates import InBatch, Streaming
from deeprec_tf.data import Category, FeatureEncoder
from deeprec_tf.identifiers import ItemCodes
from deeprec_tf.models import DNN, LR, TIGER, DeepFM, YoutubeDNN, YoutubeSBC
from deeprec_tf.tables import table_values
from deeprec_tf.training import warm_start
from tests.training.growing import (
    BUILDERS,
    ITEMS,
    USERS,
    built,
    deepfm,
    dien,
    dssm,
    fit,
    inputs,
    labels,
    sasrec,
    state,
)

OPTIMIZERS = {
    "adam": lambda: "adam",
    "amsgrad, average": lambda: keras.optimizers.Adam(amsgrad=True, use_ema=True),
    "dense adam": lambda: keras.optimizers.Adam(gradient_accumulation_steps=2),
    "adagrad": lambda: "adagrad",
    "momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9),
    "adamw, schedule": lambda: keras.optimizers.AdamW(
        keras.optimizers.schedules.ExponentialDecay(0.01, 3, 0.5)
    ),
    "adafactor": lambda: keras.optimizers.Adafactor(0.01),
    "loss scale": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01)),
}


def assert_equal_states(one, other):
    for mine, theirs in zip(state(one), state(other), strict=True):
        np.testing.assert_array_equal(mine, theirs)


# ---- nothing has grown --------------------------------------------------------------------


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("where", ["in memory", "from a file"])
def test_training_goes_on_bit_for_bit(name, where, tmp_path):
    # Where dropout stands in its draws is not in a file.
    dropout = {} if name == "DIEN" else {"dropout": 0.2 if where == "in memory" else 0.0}
    old, new = (built(BUILDERS[name], seed=n, **dropout) for n in (1, 2))
    fit(old)
    source = old
    if where == "from a file":
        old.save(tmp_path / "old.keras")
        source = keras.models.load_model(tmp_path / "old.keras")
    done = warm_start(new, source)
    assert not done.fresh and not done.unused
    assert all(came == rows for came, rows in done.tables.values())
    assert_equal_states(new, old)
    losses = [fit(model, seed=5).history["loss"] for model in (new, old)]
    assert losses[0] == losses[1]
    assert_equal_states(new, old)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_goes_on(name):
    old, new = (built(deepfm, seed=n, optimizer=OPTIMIZERS[name]()) for n in (1, 2))
    fit(old)
    assert "steps" in warm_start(new, old).optimizer
    assert_equal_states(new, old)
    fit(new, seed=5), fit(old, seed=5)
    assert_equal_states(new, old)


def test_optimizers_inside_one_that_shares_the_variables_out():
    def shared_out():
        kinds = {"embedding.*": keras.optimizers.Adagrad(0.1)}
        return keras.optimizers.MultiOptimizer(
            keras.optimizers.OptimizerMap(keras.optimizers.SGD(0.1, momentum=0.9), kinds)
        )

    old, new = (built(deepfm, seed=n, optimizer=shared_out()) for n in (1, 2))
    fit(old)
    warm_start(new, old)
    fit(new, seed=5), fit(old, seed=5)
    assert_equal_states(new, old)


def test_the_learning_rate_comes_along_and_may_be_set_after():
    old, new = built(deepfm), built(deepfm)
    old.optimizer.learning_rate = 0.25
    fit(old)
    warm_start(new, old)
    assert float(new.optimizer.learning_rate) == 0.25
    new.optimizer.learning_rate = 0.5
    assert float(old.optimizer.learning_rate) == 0.25


def test_the_older_model_is_not_changed():
    old = built(deepfm)
    fit(old)
    before = state(old)
    new = built(deepfm, seed=2, items=ITEMS + 3)
    warm_start(new, old)
    fit(new)
    for mine, theirs in zip(state(old), before, strict=True):
        np.testing.assert_array_equal(mine, theirs)


# ---- tables have grown --------------------------------------------------------------------


@pytest.mark.parametrize("name", BUILDERS)
def test_old_ids_predict_as_before_and_train_as_before(name):
    old, new = (
        built(BUILDERS[name], seed=n, users=USERS + m, items=ITEMS + m, optimizer="adam")
        for n, m in [(1, 0), (2, 4)]
    )
    fit(old)
    own = table_values(new, "item_id")
    done = warm_start(new, old)
    assert not done.fresh and done.tables["embedding_item_id"] == (ITEMS, ITEMS + 4)
    x = inputs(old)
    np.testing.assert_array_equal(new.predict(x, verbose=0), old.predict(x, verbose=0))
    table = table_values(new, "item_id")
    np.testing.assert_array_equal(table[:ITEMS], table_values(old, "item_id"))
    np.testing.assert_array_equal(table[ITEMS:], own[ITEMS:])
    if name in ("DeepFM", "DIEN"):  # the others' losses know the catalogue
        fit(new, seed=5), fit(old, seed=5)
        np.testing.assert_allclose(
            new.predict(x, verbose=0), old.predict(x, verbose=0), rtol=1e-5
        )
    fit(new, users=USERS + 4, items=ITEMS + 4, seed=6)  # rows of new ids
    assert np.isfinite(new.predict(inputs(new, items=ITEMS + 4), verbose=0)).all()


def test_rows_and_their_slots_keep_each_other_in_a_variable_of_several_tables():
    old, new = built(deepfm), built(deepfm, seed=2, users=USERS + 2, items=ITEMS + 3)
    fit(old)
    warm_start(new, old)
    before, after = (
        [np.array(model.get_layer("embedding_tables_4_and_weights").embeddings)]
        + [np.array(slots[_place(model)]) for slots in _slots(model)]
        for model in (old, new)
    )
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(other[:USERS], one[:USERS])
        np.testing.assert_array_equal(other[USERS + 2 :][:ITEMS], one[USERS:][:ITEMS])
        np.testing.assert_array_equal(other[USERS + ITEMS + 5 :], one[USERS + ITEMS :])
    for slot in after[1:]:  # new rows have no past
        assert not slot[USERS : USERS + 2].any() and not slot[-8:-5].any()
    assert all(slot.any() for slot in after[1:])


def _slots(model):
    return model.optimizer._momentums, model.optimizer._velocities


def _place(model):
    table = model.get_layer("embedding_tables_4_and_weights").embeddings
    return next(i for i, v in enumerate(model.trainable_variables) if v is table)


def test_new_rows_of_adagrad_begin_with_its_own_start():
    old = built(deepfm, optimizer=keras.optimizers.Adagrad(0.1, initial_accumulator_value=0.5))
    new = built(
        deepfm, items=ITEMS + 3,
        optimizer=keras.optimizers.Adagrad(0.1, initial_accumulator_value=0.5),
    )
    fit(old)
    warm_start(new, old)
    slot = np.array(new.optimizer._accumulators[_place(new)])
    assert (slot[USERS + ITEMS : USERS + ITEMS + 3] == 0.5).all() and slot.max() > 0.5


def test_the_average_of_a_new_row_begins_with_the_row():
    options = {"use_ema": True, "ema_momentum": 0.5}
    old, new = (
        built(deepfm, seed=n, items=ITEMS + m, optimizer=keras.optimizers.Adam(**options))
        for n, m in [(1, 0), (2, 3)]
    )
    old.train_on_batch(inputs(old), labels())  # a fit would end with the average in the weights
    old.train_on_batch(inputs(old), labels())
    warm_start(new, old)
    average = np.array(new.optimizer._model_variables_moving_average[_place(new)])
    fresh = slice(USERS + ITEMS, USERS + ITEMS + 3)
    table = np.array(new.get_layer("embedding_tables_4_and_weights").embeddings)
    np.testing.assert_array_equal(average[fresh], table[fresh])
    assert (average[:USERS] != table[:USERS]).any()


@pytest.mark.parametrize("new_rows", ["mean", "oov"])
def test_what_new_rows_begin_with(new_rows):
    old, new = built(deepfm), built(deepfm, seed=2, items=ITEMS + 3)
    fit(old)
    warm_start(new, old, new_rows=new_rows)
    for linear in (False, True):
        table, before = (table_values(m, "item_id", linear=linear) for m in (new, old))
        expected = before[1] if new_rows == "oov" else before[1:].mean(axis=0)
        np.testing.assert_allclose(table[ITEMS:], np.tile(expected, (3, 1)), rtol=1e-5)
        np.testing.assert_array_equal(table[:ITEMS], before)


def test_a_table_that_stands_alone_goes_into_one_of_several_and_back():
    alone, several = (
        DNN([SparseFeat(name, 9, embedding_dim=4) for name in names], hidden_units=(3,))
        for names in (["item"], ["user", "item"])
    )
    done = warm_start(several, alone)
    np.testing.assert_array_equal(table_values(several, "item"), table_values(alone, "item"))
    assert done.fresh.keys() == {"embedding_user", "tower/dense_0/kernel"}
    assert done.fresh["tower/dense_0/kernel"] == "(8, 3) here, (4, 3) there"
    done = warm_start(alone, built(lambda: several))
    assert done.unused == ("embedding_user",)


# ---- ids have changed ---------------------------------------------------------------------


def test_rows_go_where_their_ids_went():
    old = built(deepfm)
    fit(old)
    away = np.random.default_rng(0).permutation(ITEMS)
    ids = np.where(away < 3, -1, away + 2)  # three are gone, ids 0..4 are new
    new = built(deepfm, seed=2, items=ITEMS + 2)
    own = table_values(new, "item_id")
    done = warm_start(new, old, ids={"item_id": ids, "user": np.arange(USERS), "kind": range(5)})
    assert done.tables["embedding_item_id"] == (ITEMS - 3, ITEMS + 2)
    assert done.tables["linear_item_id"] == (ITEMS - 3, ITEMS + 2)
    x = inputs(old)
    kept = ids[x["item_id"]] >= 0
    moved = {**x, "item_id": np.maximum(ids[x["item_id"]], 0)}
    np.testing.assert_array_equal(
        new.predict(moved, verbose=0)[kept], old.predict(x, verbose=0)[kept]
    )
    np.testing.assert_array_equal(table_values(new, "item_id")[:5], own[:5])


def test_a_column_whose_items_have_two_tables_gives_one_map():
    def untied():
        item = SparseFeat("item_id", 6, embedding_dim=4)
        past = SparseFeat("hist_item_id", 6, embedding_dim=4, embedding_name="item_id")
        return YoutubeDNN([VarLenSparseFeat(past, maxlen=3)], [item], hidden_units=(3,), tied=False)

    old, new = untied(), untied()
    done = warm_start(new, old, ids={"item_id": [0, 5, 4, 3, 2, 1]})
    assert set(done.tables) == {"embedding_item_id", "embedding_softmax_item_id"}
    for name in ("item_id", "softmax_item_id"):
        table, before = table_values(new, name), table_values(old, name)
        np.testing.assert_array_equal(table[[0, 5, 4, 3, 2, 1]], before)


def test_the_ids_of_two_encoders():
    days = [
        {"user": list("aabbbc"), "item": [1, 1, 1, 2, 2, 3]},
        {"user": list("ccb"), "item": [3, 3, 4]},
    ]
    encoders = [FeatureEncoder([Category("user"), Category("item")]).fit(day) for day in days]
    old, new = (
        DeepFM(encoder.feature_columns(embedding_dim=4), hidden_units=(3,)) for encoder in encoders
    )
    old.fit(encoders[0].transform(days[0]), np.arange(6) % 2, epochs=3, verbose=0)
    warm_start(new, old, ids=encoders[1].ids_from(encoders[0]))
    known = {"user": list("bc"), "item": [3, 3]}
    np.testing.assert_array_equal(*(
        model.predict(encoder.transform(known), verbose=0)
        for model, encoder in zip((old, new), encoders, strict=True)
    ))  # fmt: skip


def test_an_encoder_that_was_extended_needs_no_ids():
    encoder = FeatureEncoder([Category("user"), Category("item")])
    encoder.fit({"user": ["a", "b"], "item": [1, 2]})
    before = FeatureEncoder.from_config(encoder.get_config())
    old = LR(encoder.feature_columns())
    encoder.extend({"user": ["c"], "item": [3]})
    tables = [
        warm_start(LR(encoder.feature_columns()), old, ids=ids).tables
        for ids in (None, encoder.ids_from(before))
    ]
    assert tables[0] == tables[1] == {"linear_user": (4, 5), "linear_item": (4, 5)}


# ---- what is not the weights' own ----------------------------------------------------------


def test_the_catalogue_and_the_counts_are_the_new_models():
    old, new = built(dssm), built(dssm, seed=2, items=ITEMS + 4)
    given = {v.path: np.array(v) for v in new.weights if "embedding" not in v.path}
    done = warm_start(new, old)
    assert set(done.given) == {
        "all_kind/table", "sampled_0/keep", "sampled_0/other", "log_q_0/log_probability",
    }  # fmt: skip
    for variable in new.weights:
        if variable.path in done.given:
            np.testing.assert_array_equal(variable, given[variable.path])
    same = built(dssm, seed=3, item_table={"kind": np.full(ITEMS, 2)})
    warm_start(same, old)
    assert (np.array(same.get_layer("all_kind").table) == 2).all()  # of one shape, but data


def _sbc(items, negatives):
    columns = [SparseFeat("user", 40, embedding_dim=8)], [SparseFeat("item_id", items)]
    return YoutubeSBC(*columns, hidden_units=(8, 4), negatives=negatives)


@pytest.mark.parametrize("buckets", [None, 16])
def test_estimated_frequencies_and_the_memory_go_on(buckets):
    negatives = InBatch(frequency=Streaming(buckets=buckets), memory=5)
    old, new, other = (built(lambda: _sbc(n, negatives)) for n in (7, 9, 9))  # noqa: B023
    old.fit({"user": np.arange(6), "item_id": [1, 2, 3, 1, 5, 6]}, verbose=0)
    assert not warm_start(new, old).fresh
    x = {"user": np.arange(4), "item_id": np.array([1, 2, 3, 6])}
    assert new.evaluate(x, verbose=0) == old.evaluate(x, verbose=0)
    np.testing.assert_array_equal(new.get_layer("memory_0").ids, old.get_layer("memory_0").ids)

    ids = np.array([0, 8, 7, 6, 5, 4, 3])  # with other ids only what has rows of items can go on
    done = warm_start(other, old, ids={"user": np.arange(40), "item_id": ids})
    forgotten = {"memory_0/ids", "memory_0/vectors"}
    if buckets:
        forgotten |= {f"log_q_0/{name}" for name in ("last_seen", "gap", "count", "step")}
    else:
        seen = [np.array(model.get_layer("log_q_0").last_seen) for model in (old, other)]
        np.testing.assert_array_equal(seen[1][ids], seen[0])
    assert set(done.fresh) == forgotten


def test_an_items_bias_goes_with_its_id():
    from deeprec_tf.models import GRU4Rec
    from deeprec_tf.recall import next_item_columns

    old, new = (GRU4Rec(*next_item_columns(n, maxlen=5, embedding_dim=4)) for n in (6, 6))
    old.get_layer("item_bias").embeddings.assign(np.arange(7.0)[:, None])
    done = warm_start(new, old, ids={"item_id": [0, 6, 5, 4, 3, 2, 1]})
    assert done.tables["item_bias"] == (7, 7)
    bias = np.array(new.get_layer("item_bias").embeddings)[:, 0]
    assert bias.tolist() == [0, 6, 5, 4, 3, 2, 1]


def test_hashed_ids_come_over_in_a_table_of_the_same_size_alone():
    def hashed(size):
        return LR([SparseFeat("user", size, use_hash=True), SparseFeat("item", 5)])

    assert warm_start(hashed(8), hashed(8)).tables["linear_user"] == (8, 8)
    done = warm_start(hashed(9), hashed(8))
    assert "hashes" in done.fresh["linear_user"] and done.tables == {"linear_item": (5, 5)}
    done = warm_start(hashed(8), hashed(8), ids={"item": np.arange(5)})
    assert done.tables["linear_user"] == (8, 8)


# ---- what it says --------------------------------------------------------------------------


def test_another_architecture_takes_what_fits():
    old, new = built(deepfm), built(deepfm, seed=2, hidden_units=(6, 5), batch_norm=False)
    fit(old)
    done = warm_start(new, old)
    assert "tower/dense_1/kernel" in done.fresh and "tower/dense_0/kernel" in done.copied
    assert any("batch_norm" in name or "norm" in name for name in done.unused)
    slots = new.optimizer._momentums
    of = {v.path: np.array(slot) for v, slot in zip(new.trainable_variables, slots, strict=True)}
    assert of["tower/dense_0/kernel"].any() and not of["tower/dense_1/kernel"].any()


def test_a_table_of_another_width_stays_fresh():
    old, new = (DNN([SparseFeat("item", 9, embedding_dim=n)], hidden_units=(3,)) for n in (4, 6))
    done = warm_start(new, old)
    assert done.fresh["embedding_item"] == "width 6 here, 4 there"


def test_the_report_reads_well():
    old, new = built(deepfm, name="monday"), built(deepfm, seed=2, items=ITEMS + 2, name="tuesday")
    fit(old)
    lines = str(warm_start(new, old)).splitlines()
    assert lines[0] == "tuesday from monday: 6 tables and 8 other weights came over"
    assert "  table      embedding_item_id: 20 of 22 rows" in lines
    assert lines[-1] == "  optimizer  SparseAdam, 6 steps"


def test_what_becomes_of_the_optimizer():
    old, new = built(deepfm), built(deepfm, seed=2, optimizer="adagrad")
    assert warm_start(new, old).optimizer == "fresh: deepfm has none"
    fit(old)
    assert warm_start(new, old).optimizer == "fresh: SparseAdagrad here, SparseAdam there"
    assert warm_start(new, old, optimizer=False).optimizer == "fresh: as asked"
    same = built(deepfm)
    warm_start(same, old, optimizer=False)
    assert int(same.optimizer.iterations) == 0
    fit(same, seed=5)


def test_a_model_that_was_loaded_without_its_optimizer(tmp_path):
    old = built(sasrec)
    fit(old)
    old.save(tmp_path / "old.keras")
    bare = keras.models.load_model(tmp_path / "old.keras", compile=False)
    new = built(sasrec, seed=2)
    assert warm_start(new, bare).optimizer == "fresh: sasrec has none"
    x = inputs(new)
    np.testing.assert_array_equal(new.predict(x, verbose=0), old.predict(x, verbose=0))
    assert warm_start(bare, old).optimizer == "none: sasrec is not compiled"


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"new_rows": "zeros"}, r"new_rows must be one of .*got 'zeros'"),
        ({"ids": {"item_id": np.arange(ITEMS)}}, r"ids has no entry for table 'user', only for"),
        ({"ids": {"item_id": [0.5]}}, r"ids\['item_id'\] must be integers .*float64"),
        ({"ids": {"user": range(9)}}, r"entry in -1..11 for each of the 12 old ids, got 9"),
        ({"ids": {"user": [0] * USERS}}, r"gives the new id 0 to several old ones"),
        ({"ids": {"user": [*range(11), 12]}}, r"got 12 entries in 0..12"),
    ],
)  # fmt: skip
def test_what_is_refused(options, match):
    old, new = built(deepfm), built(deepfm, seed=2)
    before = state(new)
    with pytest.raises(ValueError, match=match):
        warm_start(new, old, **options)
    for one, other in zip(state(new), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_smaller_table_needs_ids():
    old, new = built(deepfm), built(deepfm, items=ITEMS - 1)
    with pytest.raises(ValueError, match=r"table 'item_id' had 20 ids and has 19 now.*ids_from"):
        warm_start(new, old)


def test_two_maps_for_one_table_are_refused():
    old, new = built(dien), built(dien)
    ids = {"item_id": np.arange(ITEMS), "hist_item_id": np.arange(ITEMS)[::-1]}
    with pytest.raises(ValueError, match=r"two different maps for table 'item_id'"):
        warm_start(new, old, ids={**ids, "user": np.arange(USERS)})


def test_models_that_have_nothing_in_common():
    old = LR([SparseFeat("user", 3)])
    new = built(sasrec)
    with pytest.raises(ValueError, match="nothing of lr has the name and shape of anything"):
        warm_start(new, old)
    with pytest.raises(TypeError, match="both must be models of a builder, got Sequential"):
        warm_start(old, keras.Sequential())


def _tiger(codes, sizes=None):
    return TIGER(
        ItemCodes(codes, sizes), num_users=5, maxlen=3, hidden_size=8, num_layers=1, num_heads=1,
        head_size=4, feed_forward_units=8, beam_width=8, num_results=2,
    )  # fmt: skip


CODES = np.array([[0, 0], [1, 1], [2, 1], [3, 2], [1, 2]])
ASKED = {"user_id": [1, 2], "hist_item_id": [[1, 2, 0], [3, 4, 1]]}


@pytest.mark.parametrize("ids", [None, {"item_id": np.arange(5), "user_id": np.arange(6)}])
def test_codebooks_stand_behind_each_other_and_each_grows_at_its_end(ids):
    older, newer = _tiger(CODES), _tiger(np.concatenate([CODES, [[4, 3]]]))
    report = warm_start(newer, older, ids=ids)
    was, now = table_values(older, "item_codes"), table_values(newer, "item_codes")
    np.testing.assert_array_equal(now[[0, 1, 2, 3, 5, 6]], was)
    assert report.tables["embedding_item_codes"] == (6, 8)


def test_a_code_that_is_renumbered_goes_with_its_item():
    older, moved = _tiger(CODES), np.array([0, 3, 1, 4, 2])
    newer = _tiger(CODES[np.argsort(moved)])
    warm_start(newer, older, ids={"item_id": moved, "user_id": np.arange(6)})
    np.testing.assert_array_equal(
        table_values(newer, "item_codes"), table_values(older, "item_codes")
    )


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (CODES[[0, 2, 1, 4, 3]], "100% of the items that both know have other codes now"),
        (np.concatenate([CODES, np.minimum(CODES[:, :1], 1)], 1), "of 3 positions here, of 2 th"),
    ],
)
def test_codes_that_mean_something_else_stay_fresh(codes, message):
    report = warm_start(_tiger(codes, codes.max(0)), _tiger(CODES))
    assert message in report.fresh["embedding_item_codes"]
