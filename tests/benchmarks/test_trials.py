"""What the scripts of the accuracy benchmarks run, and what of it they add to a table."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest


class Table:
    """In place of `Rows`: some rows, and those that are added."""

    def __init__(self, *rows):
        self.rows, self.added = list(rows), []

    def __call__(self, table):
        return self

    def find(self, **key):
        return [row for row in self.rows if all(row.get(k) == v for k, v in key.items())]

    def done(self, **key):
        return bool(self.find(**key))

    def add(self, **row):
        self.added.append(row)
        self.rows.append(row)
        return row


class Anything:
    """In place of a data set that is read."""

    name = "Amazon Beauty, general"

    def __init__(self, *arguments):
        self.users = ()


def stubs_of(module, calls):
    """What a script trains, by the name of its function, each noting that it was called."""

    def noting(name, row):
        def stub(*arguments):
            calls.append(name)
            return dict(row)

        return stub

    row = {"training_seconds": 5.0, "earlier": 0.0}
    for name in ("tiger", "colarec", "sasrec", "run_one"):
        if hasattr(module, name):
            yield name, noting(name, row)
    if hasattr(module, "by_vectors"):
        yield "by_vectors", noting("by_vectors", {})
        yield "lightgcn", lambda *_: (calls.append("lightgcn"), (None, {"earlier": 3.0}))[1]
    for name in ("Prefixes", "Parts", "General"):
        if hasattr(module, name):
            yield name, Anything


@pytest.fixture
def run(scripts, monkeypatch):
    """run(script, table, *arguments): the script with stubs; what it called."""

    def run_script(name, table, *arguments):
        module, calls = scripts(name), []
        for function, stub in stubs_of(module, calls):
            monkeypatch.setattr(module, function, stub)
        monkeypatch.setattr(module, "Rows", table)
        for function in ("use_one_thread", "keep_freed_memory"):
            monkeypatch.setattr(module, function, lambda: None)
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        module.main()
        return calls

    return run_script


TRIALS = {
    "generative": ("TIGER", "Amazon Beauty", "tiger"),
    "colarec": ("ColaRec", "Amazon Beauty, general", "colarec"),
    "language_items": ("SASRec, ids", "Amazon Beauty", "run_one"),
}


@pytest.mark.parametrize("script", TRIALS)
def test_a_trial_runs_where_the_row_is_there_and_adds_none(script, run, capsys):
    model, data, function = TRIALS[script]
    options = ["--data", "beauty", "--models", model]
    table = Table({"model": model, "data": data, "seed": 0})
    assert function not in run(script, table, *options)
    assert function in run(script, table, *options, "--steps", "3")
    assert not table.added and f"'model': '{model}'" in capsys.readouterr().out


@pytest.mark.parametrize("script", ["generative", "colarec"])
def test_the_full_size_has_rows_of_its_own(script, run):
    model, data, function = TRIALS[script]
    table = Table({"model": model, "data": data, "seed": 0, "training_seconds": 5.0})
    options = ["--data", "beauty", "--models", model, "SASRec, same budget", "--size", "full"]
    calls = run(script, table, *options)
    assert calls.count(function) == calls.count("sasrec") == 1
    assert [row["model"] for row in table.added] == [
        f"{model}, published size", "SASRec, same budget, published size",
    ]  # fmt: skip
    assert function not in run(script, table, *options)


def test_lightgcn_is_asked_for_by_what_needs_it_alone(run, capsys):
    names = ["LightGCN", "ColaRec", "SASRec, same budget", "ColaRec, random codes"]
    data = {"data": "Amazon Beauty, general", "seed": 0}
    table = Table(*({"model": name, **data, "training_seconds": 5.0} for name in names[:3]))
    options = ["--data", "beauty", "--models"]
    assert run("colarec", table, *options, *names[:3]) == []
    assert run("colarec", table, *options, *names) == ["colarec"], "random codes need none"
    assert run("colarec", table, *options, "ColaRec, no content") == ["lightgcn", "colarec"]


def test_lightgcn_is_not_trained_again_in_silence(scripts, monkeypatch, tmp_path, capsys):
    colarec = scripts("colarec")

    class Trained(Exception):
        pass

    def train(*arguments, **options):
        raise Trained

    monkeypatch.setattr(colarec, "LightGCN", train)
    data = SimpleNamespace(
        source=SimpleNamespace(folder="amazon-beauty"), train=None, num_users=3, items=4
    )
    options = SimpleNamespace(checkpoints=tmp_path, epochs=None, steps=None)
    for in_table in (False, True):
        with pytest.raises(Trained):
            colarec.lightgcn(data, 0, options, in_table)
        assert ("amazon-beauty-LightGCN-0.keras is missing" in capsys.readouterr().out) is in_table


def test_the_seconds_of_lightgcn_count_among_those_of_its_codes(scripts, monkeypatch, tmp_path):
    colarec = scripts("colarec")
    vectors = np.random.default_rng(0).normal(size=(9, 4))
    tower = SimpleNamespace(predict=lambda ids, verbose: {"item_vector": vectors})
    monkeypatch.setattr(colarec, "item_encoder", lambda model: tower)
    monkeypatch.setattr(colarec, "text_vectors", lambda *_: np.concatenate([vectors[:1], vectors]))
    data = SimpleNamespace(items=9, source=None)
    spent = {
        gid: colarec.codes_of(gid, data, (None, {"earlier": 100.0}), 0, tmp_path)[1]
        for gid in ("lightgcn", "text", "random")
    }
    assert 100.0 <= spent["lightgcn"] < 160.0 and 0.0 <= spent["text"] < 60.0
    assert spent["random"] == 0.0
