"""The first 100 steps of what takes weeks on two cores, as the accuracy benchmarks have it."""

import keras
import numpy as np
import pytest

from tests.benchmarks.own_data import read_or_skip
from tests.models.recall.test_sasrec import walks
from tests.models.steps import losses_of_steps

MOVIES = 3416


def built(scripts, name):
    """The model of next_item.py, and few rows of its length."""
    module = scripts("next_item")
    keras.utils.set_random_seed(0)
    model = module.built(module.FULL_SIZE[name], module.DATA["movielens"], MOVIES)
    return model, walks(4, steps=200, items=MOVIES)


def test_bert4rec_with_its_warm_up_on_few_rows(scripts):
    model, x = built(scripts, "BERT4Rec, as published")
    before = model.evaluate(x, verbose=0)
    losses = losses_of_steps(model, [x] * 100)
    assert np.isfinite(losses).all() and model.evaluate(x, verbose=0) < before
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-4 * 100 / 10_000)


def test_the_warm_up_of_bert4rec(scripts):
    rate = scripts("next_item").FULL_SIZE["BERT4Rec, as published"].rate()
    rates = [float(rate(step)) for step in (0, 5_000, 10_000, 205_000, 400_000)]
    assert rates == pytest.approx([0.0, 5e-5, 1e-4, 5e-5, 0.0])


def test_the_large_hstu_on_few_rows(scripts):
    model, x = built(scripts, "HSTU-large, as published")
    losses = losses_of_steps(model, [x] * 100)
    assert np.isfinite(losses).all() and losses[-1] < losses[0] / 4


def test_lightgcn_on_gowalla(scripts):
    module = scripts("gowalla")
    data = read_or_skip(module.Gowalla)
    run = module.FULL_SIZE["LightGCN, as published"]
    keras.utils.set_random_seed(0)
    model = run.build(data, optimizer=keras.optimizers.Adam(run.rate), **run.arguments)
    propagation = model.get_layer("propagation")
    assert propagation.num_edges == 810_128 and propagation.sizes == (29_858, 40_982)
    log = data.train.sample(100 * run.batch, random_state=0)
    losses = losses_of_steps(
        model,
        [
            {name: log[name].to_numpy()[start : start + run.batch] for name in log}
            for start in range(0, len(log), run.batch)
        ],
    )
    assert len(losses) == 100 and np.isfinite(losses).all()
    assert np.mean(losses[-10:]) < np.mean(losses[:10])
    scores = model.predict({name: log[name].to_numpy()[:2048] for name in log}, verbose=0)
    assert np.isfinite(scores).all() and np.ptp(scores) > 0
