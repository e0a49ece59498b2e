"""The scripts in examples/ run on few rows, and stay short."""

import ast
import runpy
import sys

import pytest

from tests.docs.markdown import ROOT

SCRIPTS = sorted((ROOT / "examples").glob("run_*.py"))
ROWS = {
    "run_dien": 1500, "run_din": 3000, "run_deepfm": 3000, "run_wide_deep": 3000, "run_dssm": 3000,
    "run_sasrec": 6000, "run_tiger": 3000, "run_mmoe": 3000,
}
SCORES = {
    **dict.fromkeys(ROWS, {"auc", "log_loss"}), "run_dssm": {"hr@20", "ndcg@20"},
    "run_sasrec": {"hr@10", "ndcg@10"}, "run_tiger": {"hr@10", "ndcg@10"},
    "run_mmoe": {"like_auc", "like_log_loss", "rating_rmse"},
}


def test_every_script_is_here():
    assert [script.stem for script in SCRIPTS] == sorted(ROWS)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_script_runs(script, monkeypatch, capsys):
    rows = str(ROWS[script.stem])
    monkeypatch.setattr(sys, "argv", [str(script), "--rows", rows, "--epochs", "1"])
    runpy.run_path(str(script), run_name="__main__")
    scores = ast.literal_eval(capsys.readouterr().out.splitlines()[-1])
    assert set(scores) >= SCORES[script.stem]
    assert all(0 <= score < 5 for score in scores.values())


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_script_is_short(script):
    assert len(script.read_text(encoding="utf-8").splitlines()) <= 80
