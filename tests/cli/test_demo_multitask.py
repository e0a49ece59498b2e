"""The multitask demo: its rows and baselines, and the whole of it in a process of its own."""

import json

import numpy as np
import pytest

from deeprec_tf.cli.demo.movies import ITEM, OUT_OF_VOCABULARY, newest_ratings
from deeprec_tf.cli.demo.multitask.data import INPUTS, USER, prepare
from deeprec_tf.cli.demo.multitask.funnel import prepare_funnel
from deeprec_tf.cli.demo.multitask.models import Means, measured
from deeprec_tf.cli.demo.settings import MultitaskSettings
from deeprec_tf.cli.errors import CommandError
from deeprec_tf.data import load_movielens
from tests.cli.command import run
from tests.cli.page import PNG, Page

SETTINGS = MultitaskSettings(rows=4000, seed=3, drawn=2)
PARTS = ("train", "validation", "test")
MODELS = ["MMoE", "SharedBottom"]


@pytest.fixture(scope="module")
def data():
    return prepare(newest_ratings(load_movielens(), SETTINGS.rows), SETTINGS)


@pytest.fixture(scope="module")
def funnel(data):
    return prepare_funnel(data, SETTINGS)


def test_each_user_is_split_by_time(data):
    raw = {part: data.encoder.inverse_transform(data.inputs[part]) for part in PARTS}
    table = data.ratings.set_index([USER, ITEM])["timestamp"]
    for user in set(data.ratings[USER]):
        times = []
        for part in PARTS:
            movies = raw[part][ITEM][raw[part][USER] == user].dropna()
            times.append([table[user, movie] for movie in movies])
        assert max(times[0]) <= min(times[1] + times[2])
        assert max(times[1], default=0) <= min(times[2], default=np.inf)
    counts = [len(data.labels[part]["rating"]) for part in PARTS]
    assert sum(counts) == SETTINGS.rows
    np.testing.assert_allclose(counts, np.multiply(SETTINGS.fractions, SETTINGS.rows), rtol=0.05)


def test_labels_are_those_of_the_ratings(data):
    for part in PARTS:
        rating, liked = data.labels[part]["rating"], data.labels[part]["liked"]
        np.testing.assert_array_equal(liked, (rating >= 4).astype("float32"))
        assert list(data.inputs[part]) == list(INPUTS)
    again = data.encoder.transform(data.raw)
    for name in INPUTS:
        np.testing.assert_array_equal(again[name], data.inputs["test"][name])


def test_means(data):
    means = Means.fit(data)
    x, rating = data.inputs["train"], data.labels["train"]["rating"].astype("float64")
    mean = rating.mean()
    movie, user = x[ITEM][0], x[USER][0]

    def movie_deviation(item):
        mine = rating[x[ITEM] == item] - mean
        return mine.sum() / (len(mine) + 10)

    mine = x[USER] == user
    left = rating[mine] - mean - np.array([movie_deviation(item) for item in x[ITEM][mine]])
    wanted = mean + movie_deviation(movie) + sum(left) / (len(left) + 10)
    assert means.predict(x)["rating"][0] == pytest.approx(wanted, abs=1e-5)
    assert set(means.predict(x)) == {"liked", "rating"}


def test_measured_on_the_rows_that_have_a_label():
    labels = {
        "liked": np.array([0.0, 1.0, np.nan, 1.0]), "rating": np.array([4.0, 2.0, np.nan, 1.0])
    }
    found = measured(labels, {"liked": np.array([0.1, 0.9, 0.0, 0.4])})
    assert list(found) == ["liked_auc", "liked_log_loss"]
    assert found["liked_auc"] == 1.0
    assert found["liked_log_loss"] == pytest.approx(-np.log([0.9, 0.9, 0.4]).mean())
    found = measured(labels, {"rating": np.array([3.0, 2.0, 9.0, 1.0])})
    assert found == {"rating_rmse": pytest.approx(3**-0.5)}


def test_the_funnel(data, funnel):
    rated = set()
    for part in PARTS:
        x, y = funnel.inputs[part], funnel.labels[part]
        known = data.inputs[part][ITEM] != OUT_OF_VOCABULARY
        clicked = y["ctr"] == 1
        assert clicked.mean() == pytest.approx(1 / 3)
        np.testing.assert_array_equal(x[ITEM][clicked], data.inputs[part][ITEM][known])
        np.testing.assert_array_equal(y["cvr"][clicked], data.labels[part]["liked"][known])
        assert np.isnan(y["cvr"][~clicked]).all() and not y["ctcvr"][~clicked].any()
        rated |= set(zip(x[USER][clicked], x[ITEM][clicked], strict=True))
        assert not rated & set(zip(x[USER][~clicked], x[ITEM][~clicked], strict=True))
        assert not (x[ITEM] == OUT_OF_VOCABULARY).any()
        assert list(x) == list(INPUTS)
    genres = {}
    for part in PARTS:
        for movie, genre in zip(*(funnel.inputs[part][n] for n in (ITEM, "genre")), strict=True):
            assert genres.setdefault(movie, genre) == genre  # a drawn movie brings its own


def test_too_few_ratings():
    with pytest.raises(CommandError, match="300 ratings leave .* Give --rows 2000"):
        prepare(newest_ratings(load_movielens(), 300), SETTINGS)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    code, out, err = run(
        "demo", "--task", "multitask", "--rows", "3000", "--epochs", "1", "--model",
        ",".join(MODELS), "--out", "report", cwd=folder,
    )
    assert (code, err) == (0, ""), out + err
    metrics = json.loads((folder / "report" / "metrics.json").read_text(encoding="utf-8"))
    return folder / "report", out, metrics


def test_every_file_is_there(finished):
    folder = finished[0]
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names >= {
        "index.html", "metrics.json", "training.png", "funnel.png", "gates_mmoe.png",
        "model_mmoe.png", "model_sharedbottom.png", "mmoe.onnx", "encoder.json",
        "saved_model/mmoe/1/saved_model.pb",
    }
    for picture in folder.glob("*.png"):
        assert picture.read_bytes().startswith(PNG)


def test_what_is_printed(finished):
    _, out, metrics = finished
    for step in range(1, 8):
        assert f"[{step}/7] " in out
    lines = [line.split() for line in out.splitlines()]
    header = next(k for k, line in enumerate(lines) if line[:2] == ["model", "liked"])
    assert [line[0] for line in lines[header + 2 : header + 6]] == ["means", "a", *MODELS]
    assert out.count("largest difference") == 3
    assert "input alone" in out and "MMoE, mean weight" in out
    assert "ESMM, funnel epoch 1/1" in out and "rating alone epoch 1/1" in out
    for scores in metrics["test"].values():
        assert f"{scores['liked_auc']:.4f}" in out
    for scores in metrics["funnel"].values():
        assert f"{scores['cvr_auc']:.4f}" in out


def test_metrics(finished):
    metrics = finished[2]
    assert list(metrics["test"]) == ["means", "a model a task", *MODELS]
    for scores in metrics["test"].values():
        assert set(scores) == {"liked_auc", "liked_log_loss", "rating_rmse"}
    assert list(metrics["funnel"]) == ["ESMM", "SharedBottom"]
    assert set(metrics["training"]) == {
        *MODELS, "liked alone", "rating alone", "ESMM, funnel", "SharedBottom, funnel"
    }
    assert set(metrics["leaks"]) == set(INPUTS)
    assert all(0.5 <= one["liked"] < 0.99 for one in metrics["leaks"].values())
    assert list(metrics["gates"]) == ["MMoE"]
    for weights in metrics["gates"]["MMoE"].values():
        assert sum(weights) == pytest.approx(1.0, abs=1e-4)
    assert max(metrics["parity"].values()) < 1e-5
    assert len(metrics["parity"]) == 3
    assert len(metrics["seconds"]) == 8


def test_the_page(finished):
    page = Page(finished[0] / "index.html")
    for title in ("Test part", "Training", "Gates", "A funnel", "Leaks", "Exported files"):
        assert title in page.text
    assert len(page.images) == 3 + len(MODELS)
    assert "MMoE and SharedBottom on MovieLens" in page.text
    assert "Harper" in page.text  # the data's citation
