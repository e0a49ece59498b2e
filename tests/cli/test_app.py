"""Arguments, help, list and errors of `python -m deeprec_tf`."""

from importlib import metadata
from pathlib import Path

import pytest
import tensorflow as tf

from deeprec_tf import __version__, list_models
from deeprec_tf.cli.app import build_parser, main
from deeprec_tf.cli.demo import measured
from deeprec_tf.cli.demo import run as demo
from deeprec_tf.cli.demo.settings import RankingSettings, RecallSettings
from deeprec_tf.cli.demo.tasks import TASKS
from tests.cli.command import run


@pytest.mark.parametrize("arguments", [("--help",), ("demo", "--help"), ("list", "--help")])
def test_help_loads_no_tensorflow(arguments, tmp_path):
    code, out, err = run(*arguments, cwd=tmp_path, options=("-X", "importtime"))
    assert code == 0
    assert out.startswith("usage: python -m deeprec_tf")
    loaded = {line.rsplit("|", 1)[-1].strip() for line in err.splitlines()}
    assert "deeprec_tf.cli.app" in loaded
    assert not loaded & {"tensorflow", "keras", "numpy", "pandas"}


def test_every_option_of_demo_is_read(monkeypatch):
    seen = []
    monkeypatch.setattr(demo, "run_demo", lambda task, settings: seen.append((task, settings)))
    line = "demo --model din,DIEN --rows 500 --epochs 2 --seed 7 --out there"
    assert main(line.split()) == 0
    assert main(["demo"]) == 0
    assert main(["demo", "--task", "recall", "--rows", "500"]) == 0
    assert seen == [
        (
            TASKS["ranking"],
            RankingSettings(
                models=("din", "DIEN"), rows=500, epochs=2, seed=7, out=Path("there")
            ),
        ),
        (TASKS["ranking"], RankingSettings()),
        (TASKS["recall"], RecallSettings(rows=500)),
    ]


def test_help_names_every_task_and_its_defaults(capsys):
    with pytest.raises(SystemExit) as end:
        main(["demo", "--help"])
    assert end.value.code == 0
    words = " ".join(capsys.readouterr().out.split())
    for name, task in TASKS.items():
        assert f"{name} {task.summary}" in words
        assert f"{task.settings.out} for {name}" in words


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "required: COMMAND"),
        ("nonsense", "'nonsense'"),
        ("demo --rows -1", "argument --rows: must be a whole number of at least 0, got '-1'"),
        ("demo --epochs 0", "argument --epochs: must be a whole number of at least 1, got '0'"),
        ("demo --seed x", "argument --seed: must be a whole number"),
        ("demo --task cooking", "argument --task: invalid choice: 'cooking' (choose from"),
        ("demo --model ,", "give the name of a model"),
        ("demo --colour", "unrecognized arguments: --colour"),
    ],
)
def test_wrong_arguments_are_one_line(line, words, capsys):
    with pytest.raises(SystemExit) as end:
        build_parser().parse_args(line.split())
    out, err = capsys.readouterr()
    assert end.value.code == 2
    assert not out
    assert words in err
    assert err.count("\n") == 1


def test_version(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"deeprec_tf {__version__}\n"


def test_list_names_every_model(capsys):
    assert main(["list"]) == 0
    rows = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line]
    assert [name for name in rows if name in list_models()] == list_models()


def test_list_of_a_family(capsys):
    assert main(["list", "--family", "ranking"]) == 0
    assert "DIEN" in capsys.readouterr().out
    assert main(["list", "--family", "cooking"]) == 2
    assert capsys.readouterr().err == (
        "deeprec_tf: error: there is no family 'cooking'; families are ranking, multitask, "
        "recall, generative.\n"
    )


def test_list_in_a_process_is_quiet(tmp_path):
    code, out, err = run("list", cwd=tmp_path)
    assert code == 0
    assert "DIEN" in out
    assert err == ""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--model", "Nothing"], "no such model. The ranking demo can train: DIN, BST, DIEN"),
        (["--model", "DeepFM"], "it reads no behavior sequence"),
        (["--rows", "300"], "Give --rows 2000 or more."),
        (["--task", "recall", "--model", "DIN"], "it is no recall model of a behavior sequence"),
        (["--task", "recall", "--rows", "300"], "Give --rows 5000 or more."),
        (["--task", "multitask", "--model", "ESMM"], "no multi-task model with tasks of any kind"),
    ],
)
def test_errors_before_training_are_one_line(options, words, tmp_path, capsys):
    assert main(["demo", *options, "--out", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err
    assert err.startswith("deeprec_tf: error: ")
    assert words in err
    assert err.count("\n") == 1


def test_a_folder_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["demo", "--out", str(tmp_path / "file" / "out")]) == 2
    assert "cannot write there" in capsys.readouterr().err


def test_missing_packages_are_named_before_anything_else(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(demo, "_EXTRA", ("keras", "no_such_package", "nor_this"))
    assert main(["demo", "--out", str(tmp_path / "out")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "deeprec_tf: error: the demo needs no_such_package, nor_this. Run: "
        'pip install "deeprec_tf[demo]"\n'
    )
    assert not (tmp_path / "out").exists()


def test_any_error_is_one_line(monkeypatch, capsys):
    def fail(*args):
        raise tf.errors.ResourceExhaustedError(None, None, "no memory left")

    monkeypatch.setattr(demo, "run_demo", fail)
    assert main(["demo"]) == 2
    assert capsys.readouterr().err == "deeprec_tf: error: no memory left\n"
    with pytest.raises(tf.errors.OpError):
        main(["demo", "--traceback"])


def test_a_package_by_another_name_has_a_version(monkeypatch):
    def unknown(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(measured.metadata, "version", unknown)
    assert measured.versions()["tensorflow"] == tf.__version__


def test_traceback_on_request(tmp_path):
    with pytest.raises(demo.CommandError, match="no such model"):
        main(["demo", "--model", "Nothing", "--traceback", "--out", str(tmp_path / "out")])
