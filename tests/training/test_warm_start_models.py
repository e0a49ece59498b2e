"""Every model of the package goes on with more ids: no weight is left behind by its name."""

import dataclasses

import keras
import numpy as np
import pytest

from deeprec_tf import SparseFeat, VarLenSparseFeat, get_model, list_models
from deeprec_tf.training import warm_start
from tests.contract.data import subject_of

MORE = 3


def grown(thing):
    """Columns with tables of a few more rows."""
    if isinstance(thing, list):
        return [grown(one) for one in thing]
    if isinstance(thing, SparseFeat):
        return dataclasses.replace(thing, vocabulary_size=thing.vocabulary_size + MORE)
    if isinstance(thing, VarLenSparseFeat):
        return dataclasses.replace(thing, sparsefeat=grown(thing.sparsefeat))
    return thing


@pytest.mark.parametrize("model", list_models())
def test_old_ids_predict_the_same_bits(model):
    subject = subject_of(get_model(model))
    options = dict(subject.options)
    if "item_table" in options:
        options["item_table"] = {
            name: np.concatenate([values, values[1 : 1 + MORE]])
            for name, values in options["item_table"].items()
        }
    kept = set()
    if "item_codes" in get_model(model).needs:  # the catalogue is one argument; users are added
        kept = {"embedding_item_codes", "embedding_item_id", "embedding_tokens"}
    for name in {"item_embeddings", "item_tokens"} & set(options):
        options[name] = np.concatenate([options[name], options[name][1 : 1 + MORE]])
    for name in {"num_users", "num_items"} & set(options):
        options[name] += MORE
    larger = dataclasses.replace(
        subject, arguments=tuple(map(grown, subject.arguments)), options=options, _cache={}
    )
    new = larger.build(seed=3)
    old = subject.build() if model == "LightGCN" else subject.lively  # noise in its graph is none
    done = warm_start(new, old)
    assert not done.fresh and not done.unused
    for name, (came, rows) in done.tables.items():
        assert rows == came + MORE * (name not in kept)
    x = subject.batch()
    one, other = (keras.tree.flatten(m.predict(x, verbose=0)) for m in (new, old))
    for mine, theirs in zip(one, other, strict=True):
        np.testing.assert_array_equal(mine, theirs)
