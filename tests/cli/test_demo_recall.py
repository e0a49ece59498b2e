"""The recall demo: its rows, and the whole of it in a process of its own."""

import dataclasses
import json

import pytest

from deeprec_tf.cli.demo.movies import ITEM, newest_ratings
from deeprec_tf.cli.demo.recall.data import HISTORY, prepare
from deeprec_tf.cli.demo.settings import RecallSettings
from deeprec_tf.cli.errors import CommandError
from deeprec_tf.data import load_movielens
from tests.cli.command import run
from tests.cli.page import PNG, Page

SETTINGS = RecallSettings(rows=6000, maxlen=7, seed=3)
MODELS = ["SASRec", "MIND"]


@pytest.fixture(scope="module")
def ratings():
    return newest_ratings(load_movielens(), SETTINGS.rows)


@pytest.fixture(scope="module")
def data(ratings):
    return prepare(ratings, SETTINGS)


def _by_user(data):
    return {user: rows[ITEM].tolist() for user, rows in data.ratings.groupby("user_id")}


def test_of_each_user_the_last_two_movies_are_to_be_found(data):
    events = _by_user(data)
    assert len(data.parts["test"]["user_id"]) > 20
    for left, name in ((2, "validation"), (1, "test")):
        part, seen = data.parts[name], data.seen[name]
        for row, user in enumerate(part["user_id"]):
            past, target = events[user][:-left], events[user][-left]
            assert part[ITEM][row] == target
            assert seen[row][seen[row] != 0].tolist() == past
            assert part[HISTORY][row].tolist() == (past[-7:] + [0] * 7)[:7]


def test_training_sees_neither(data):
    events = _by_user(data)
    training = [events[user][:-2] if len(events[user]) > 2 else events[user] for user in events]
    assert len(data.moments[ITEM]) == sum(len(row) - 1 for row in training)
    pairs = {(tuple(h[h != 0]), i) for h, i in zip(*data.moments.values(), strict=True)}
    for row in training:
        for k in range(1, len(row)):
            assert (tuple(row[max(k - 7, 0) : k]), row[k]) in pairs


def test_every_training_movie_is_next_in_one_window(data):
    events = _by_user(data)
    training = [events[user][:-2] if len(events[user]) > 2 else events[user] for user in events]
    wanted = sorted(item for row in training for item in row[1:])
    histories = data.sequences[HISTORY]
    labels = [*histories[:, 1:][histories[:, 1:] != 0].tolist(), *data.sequences[ITEM].tolist()]
    assert sorted(labels) == wanted


def test_rare_movies_are_left_out(data, ratings):
    assert len(data.ratings) + data.left_out == len(ratings)
    assert data.ratings[ITEM].isin(data.catalogue[ITEM]).all()
    assert data.titles[data.ratings[ITEM]].tolist() == data.ratings["title"].tolist()
    again = data.encoder.decode(ITEM, data.catalogue[ITEM])
    counts = ratings[ITEM].value_counts()
    assert (counts[again] >= SETTINGS.least_ratings).all()


def test_the_order_within_a_second_is_drawn(ratings):
    hourly = ratings.assign(timestamp=ratings["timestamp"] // 3600)
    one, same, other = (
        prepare(hourly, dataclasses.replace(SETTINGS, seed=seed)).ratings for seed in (0, 0, 1)
    )
    assert one["timestamp"].is_monotonic_increasing
    assert one["title"].tolist() == same["title"].tolist() != other["title"].tolist()


def test_too_few_ratings():
    with pytest.raises(CommandError, match="300 ratings leave . users .* Give --rows 5000"):
        prepare(newest_ratings(load_movielens(), 300), SETTINGS)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    code, out, err = run(
        "demo", "--task", "recall", "--rows", "5000", "--epochs", "1", "--model",
        ",".join(MODELS), "--out", "report", cwd=folder,
    )
    assert (code, err) == (0, ""), out + err
    metrics = json.loads((folder / "report" / "metrics.json").read_text(encoding="utf-8"))
    return folder / "report", out, metrics


def test_every_file_is_there(finished):
    folder = finished[0]
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names >= {
        "index.html", "metrics.json", "training.png", "test.png", "model_sasrec.png",
        "model_mind.png", "encoder.json", "retriever/sasrec/1/saved_model.pb",
    }
    for picture in folder.glob("*.png"):
        assert picture.read_bytes().startswith(PNG)


def test_what_is_printed(finished):
    _, out, metrics = finished
    for step in range(1, 7):
        assert f"[{step}/6] " in out
    lines = [line.split() for line in out.splitlines()]
    header = lines.index(["model", "HR@10", "NDCG@10", "coverage@10", "training"])
    names = ["popularity", "Markov", "item-kNN", *MODELS]
    assert [line[0] for line in lines[header + 2 : header + 7]] == names
    assert out.count("SASRec finds") == 3
    assert out.count("largest difference") == 2
    assert "MIND epoch 1/1" in out
    for scores in metrics["test"].values():
        assert f"{scores['ndcg@10']:.4f}" in out


def test_metrics(finished):
    metrics = finished[2]
    assert list(metrics["test"]) == ["popularity", "Markov chain", "item-kNN", *MODELS]
    for scores in metrics["test"].values():
        assert set(scores) == {"hr@10", "ndcg@10", "coverage@10"}
    assert list(metrics["training"]) == MODELS
    assert set(metrics["training"]["MIND"]["history"]) == {"loss", "val_hr@10", "val_ndcg@10"}
    assert max(metrics["parity"].values()) < 1e-5
    assert len(metrics["parity"]) == 2
    assert metrics["settings"]["rows"] == 5000
    assert len(metrics["seconds"]) == 7
    for one in metrics["lists"]:
        assert list(one["found"]) == MODELS
        for found in one["found"].values():
            titles = [row["title"] for row in found]
            scores = [row["score"] for row in found]
            assert len(set(titles)) == 10
            assert scores == sorted(scores, reverse=True)
            assert not set(titles) & set(one["watched_last"])


def test_the_page(finished):
    folder, _, metrics = finished
    page = Page(folder / "index.html")
    assert len(metrics["lists"]) == 3
    for one in metrics["lists"]:
        found = [row["title"] for rows in one["found"].values() for row in rows]
        for title in [*one["watched_last"], *found]:
            assert title in page.text
    assert len(page.images) == 2 + len(MODELS)
    assert "SASRec and MIND on MovieLens" in page.text
    assert "Harper" in page.text  # the data's citation
