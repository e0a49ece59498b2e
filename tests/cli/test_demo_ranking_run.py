"""The ranking demo from end to end, in a process of its own."""

import json
import time

import pytest

from deeprec_tf.cli.demo.page import titles
from tests.cli.command import run
from tests.cli.page import PNG, Page


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    began = time.perf_counter()
    code, out, err = run("demo", "--rows", "3000", "--epochs", "1", "--out", "report", cwd=folder)
    assert (code, err) == (0, ""), out + err
    return folder / "report", out, time.perf_counter() - began


def test_every_file_is_there(finished):
    folder = finished[0]
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names >= {
        "index.html", "metrics.json", "training.png", "attention.png", "model_dien.png",
        "model_din.png", "dien.onnx", "encoder.json", "saved_model/dien/1/saved_model.pb",
    }
    for picture in folder.glob("*.png"):
        assert picture.read_bytes().startswith(PNG)


def test_what_is_printed(finished):
    out = finished[1]
    for step in range(1, 7):
        assert f"[{step}/6] " in out
    lines = [line.split() for line in out.splitlines()]
    header = lines.index(["model", "AUC", "GAUC", "log", "loss", "training"])
    assert [line[0] for line in lines[header + 2 : header + 5]] == ["popularity", "DIEN", "DIN"]
    assert out.count("recommends") == 3
    assert out.count("largest difference") == 3
    assert "DIN epoch 1/1" in out


def test_metrics(finished):
    metrics = json.loads((finished[0] / "metrics.json").read_text(encoding="utf-8"))
    assert set(metrics["test"]) == {"popularity", "DIEN", "DIN"}
    for scores in metrics["test"].values():
        assert set(scores) == {"auc", "gauc", "log_loss"}
    printed = finished[1]
    for scores in metrics["test"].values():
        assert f"{scores['auc']:.4f}" in printed
    assert metrics["test"]["popularity"]["auc"] > 0.6
    assert metrics["settings"]["rows"] == metrics["sizes"]["ratings"] == 3000
    assert metrics["settings"]["epochs"] == 1
    assert set(metrics["training"]) == {"DIEN", "DIN"}
    assert len(metrics["training"]["DIEN"]["history"]["val_auc"]) == 1
    assert max(metrics["parity"].values()) < 1e-5
    assert len(metrics["parity"]) == 3
    assert len(metrics["recommendations"]) == 3
    assert all(len(one["recommended"]) == 5 for one in metrics["recommendations"])
    assert {"deeprec_tf", "python", "tensorflow", "keras"} <= set(metrics["versions"])
    assert len(metrics["seconds"]) == 7
    assert metrics["seconds"]["total"] <= finished[2]


def test_the_page(finished):
    metrics = json.loads((finished[0] / "metrics.json").read_text(encoding="utf-8"))
    page = Page(finished[0] / "index.html")
    for one in metrics["recommendations"]:
        for title in [*one["watched_last"], *(best["title"] for best in one["recommended"])]:
            assert title in page.text
    assert len(page.images) == 4
    assert "Harper" in page.text  # the data's citation


def test_titles_are_escaped():
    for html in (titles("seen", ["<b>Bold</b> & co"]), titles("<b>", ["<script>"], [0.5])):
        assert "<b>" not in html and "<script>" not in html
    assert "&lt;b&gt;Bold&lt;/b&gt; &amp; co" in titles("seen", ["<b>Bold</b> & co"])
