"""The generative demo: its names and rows, and the whole of it in a process of its own."""

import dataclasses
import json
import re

import numpy as np
import pytest

from deeprec_tf.cli.demo.generative.data import movie_vectors, prepare
from deeprec_tf.cli.demo.generative.generate import unseen
from deeprec_tf.cli.demo.movies import ITEM, OUT_OF_VOCABULARY, newest_ratings
from deeprec_tf.cli.demo.recall.data import HISTORY
from deeprec_tf.cli.demo.recall.recommend import Requests, lists_of
from deeprec_tf.cli.demo.settings import GenerativeSettings, RecallSettings
from deeprec_tf.data import load_movielens
from deeprec_tf.retrieval import Found
from tests.cli.command import run
from tests.cli.page import PNG, Page

SETTINGS = GenerativeSettings(rows=6000, maxlen=7, seed=3, codebook_size=16)
MODELS = ["TIGER", "HLLM"]


@pytest.fixture(scope="module")
def data():
    return prepare(newest_ratings(load_movielens(), SETTINGS.rows), SETTINGS)


def test_movies_have_the_same_ids_for_all_models(data):
    keys = data.recall.encoder.decode(ITEM, data.recall.catalogue[ITEM])
    assert data.encoder.decode("item_id", data.recall.catalogue[ITEM]).tolist() == keys.tolist()
    assert len(data.codes.codes) == data.recall.size + 1


def test_training_moments_are_those_of_recall_with_their_user(data):
    moments = data.recall.moments
    assert (data.moments["hist_item_id"] == moments[HISTORY]).all()
    assert (data.moments["item_id"] == moments[ITEM]).all()
    users = data.encoder.decode("user_id", data.moments["user_id"])
    events = {user: rows[ITEM].tolist() for user, rows in data.recall.ratings.groupby("user_id")}
    rows = zip(users, data.moments["hist_item_id"], data.moments["item_id"], strict=True)
    for user, history, item in rows:
        at = events[user].index(item)
        assert events[user][max(at - 7, 0) : at] == history[history != 0].tolist()


def test_vectors_stand_together_where_the_same_users_rated(data):
    """Of two groups of users each rates eight movies of its own, and all rate one more."""
    ratings = data.recall.ratings.head(360).assign(genre="Drama", period="1990-1994")
    user, place = np.repeat(np.arange(40), 9), np.tile(np.arange(9), 40)
    movie = np.where(place == 8, 18, 2 + (user % 2) * 8 + place)
    vectors = movie_vectors(ratings.assign(user_id=user, **{ITEM: movie}), 19, 1)
    assert not vectors[: OUT_OF_VOCABULARY + 1].any()
    first, second = vectors[2:10, 0], vectors[10:18, 0]
    assert np.allclose(np.abs(vectors[2:18, 0]), 1)
    assert len(set(np.sign(first))) == len(set(np.sign(second))) == 1
    assert np.sign(first[0]) != np.sign(second[0])


def test_names_are_codes_and_differ(data):
    movies = data.recall.catalogue[ITEM]
    names = [data.name(movie) for movie in movies]
    assert len(set(names)) == len(names)
    assert all(name.count("-") == 2 for name in names)


def test_what_was_rated_is_no_answer():
    ids, scores = [[5, 2, 7, 9], [4, 6, -1, -1]], [[4.0, 3, 2, 1], [2, 1, 0, 0]]
    found = Found(np.array(ids), np.array(scores))
    asked = Requests(np.array([1, 2]), np.zeros((2, 1)), np.array([[5, 2], [0, 0]]))
    left = unseen(found, asked, 3)
    assert left.ids.tolist() == [[7, 9, -1], [4, 6, -1]]
    assert left.scores.tolist() == [[2, 1, -np.inf], [2, 1, -np.inf]]


def test_a_short_list_shows_what_there_is(data):
    movies = data.recall.titles
    known = np.flatnonzero([bool(title) for title in movies])[:2]
    found = Found(np.array([[*known, -1]]), np.array([[2.0, 1.0, -np.inf]]))
    asked = Requests(np.array([1]), known[None], known[None])
    settings = dataclasses.replace(RecallSettings(), users=1)
    (one,) = lists_of({"TIGER": found}, data.recall, asked, settings)
    assert one.titles == {"TIGER": [movies[known[0]], movies[known[1]]]}
    assert one.scores == {"TIGER": [2.0, 1.0]}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    code, out, err = run(
        "demo", "--task", "generative", "--rows", "5000", "--epochs", "1", "--model",
        ",".join(MODELS), "--out", "report", cwd=folder,
    )
    assert (code, err) == (0, ""), out + err
    metrics = json.loads((folder / "report" / "metrics.json").read_text(encoding="utf-8"))
    return folder / "report", out, metrics


def test_every_file_is_there(finished):
    folder = finished[0]
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names >= {
        "index.html", "metrics.json", "training.png", "test.png", "model_tiger.png",
        "model_hllm.png", "encoder.json", "saved_model/tiger/1/saved_model.pb",
    }
    for picture in folder.glob("*.png"):
        assert picture.read_bytes().startswith(PNG)


def test_what_is_printed(finished):
    _, out, metrics = finished
    for step in range(1, 8):
        assert f"[{step}/7] " in out
    lines = [line.split() for line in out.splitlines()]
    header = lines.index(["model", "HR@10", "NDCG@10", "training"])
    names = ["popularity", "Markov", "item-kNN", *MODELS]
    assert [line[0] for line in lines[header + 2 : header + 7]] == names
    assert out.count("TIGER answers") == 3
    assert out.count("largest difference") == 2
    for scores in metrics["test"].values():
        assert f"{scores['ndcg@10']:.4f}" in out


def test_titles_come_with_their_names(finished):
    folder, out, metrics = finished
    page = Page(folder / "index.html")
    assert len(metrics["lists"]) == 3
    for one in metrics["lists"]:
        assert list(one["found"]) == MODELS
        for found in one["found"].values():
            titles = [row["title"] for row in found]
            scores = [row["score"] for row in found]
            assert len(set(titles)) == 10
            assert scores == sorted(scores, reverse=True)
            assert not set(titles) & set(one["watched_last"])
        for title in [*one["watched_last"], *(r["title"] for r in one["found"]["TIGER"])]:
            assert re.search(f"{metrics['names'][title]} +{re.escape(title)}", out)
            assert metrics["names"][title] in page.text and title in page.text
    assert len(set(metrics["names"].values())) == len(metrics["names"])
    assert len(page.images) == 2 + len(MODELS)
    assert "TIGER and HLLM on MovieLens" in page.text


def test_metrics(finished):
    metrics = finished[2]
    assert list(metrics["test"]) == ["popularity", "Markov chain", "item-kNN", *MODELS]
    assert all(set(scores) == {"hr@10", "ndcg@10"} for scores in metrics["test"].values())
    assert set(metrics["training"]["TIGER"]["history"]) == {"loss", "val_hr@10", "val_ndcg@10"}
    assert max(metrics["parity"].values()) < 1e-4
    assert len(metrics["parity"]) == 2
    assert metrics["codes"]["sizes"][:2] == [64, 64]
    assert len(metrics["seconds"]) == 8
