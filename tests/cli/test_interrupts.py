"""Ctrl-C ends a command with one line and exit code 130."""

import signal
import sys
import time

import pytest

from deeprec_tf.cli import listing
from deeprec_tf.cli.app import main
from tests.cli.command import start


@pytest.mark.parametrize(
    ("seen", "wait"), [("Loading TensorFlow", 0.7), ("DIEN epoch 1/", 0.2)], ids=["load", "train"]
)
def test_ctrl_c_in_a_process(seen, wait, tmp_path):
    process = start(
        "demo", "--rows", "10000", "--epochs", "50", "--model", "dien", "--out", "report",
        cwd=tmp_path,
    )
    for line in process.stdout:
        if seen in line:
            break
    time.sleep(wait)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "deeprec_tf: interrupted\n"
    assert "Compare" not in out


@pytest.fixture
def _same_handler():
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_same_handler")
@pytest.mark.parametrize("other", [None, ImportError, RuntimeError])
def test_ctrl_c_that_became_another_error(other, monkeypatch, capsys):
    def press(family):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt as error:
            if other is None:
                raise
            raise other("initialization failed") from error

    monkeypatch.setattr(listing, "print_models", press)
    hook = sys.unraisablehook
    assert main(["list"]) == 130
    assert capsys.readouterr().err == "deeprec_tf: interrupted\n"
    assert sys.unraisablehook is hook
