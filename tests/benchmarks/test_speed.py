"""The speed benchmark's data, tables and bounds; what it measures is not tested here."""

import importlib
import json
from types import SimpleNamespace

import numpy as np
import pytest

from tests.docs.markdown import ROOT

FOLDER = ROOT / "benchmarks" / "speed"
MODULES = ("workloads", "cases", "table", "run", "guard")


@pytest.fixture(scope="module")
def speed():
    """The modules of the benchmark, which import each other by bare names as scripts do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        return SimpleNamespace(**{name: importlib.import_module(name) for name in MODULES})


def _case(trains_only=False, **rates):
    """Results of a case in which every subject has the given rate in each round."""
    subjects = {
        label: {
            "remark": "", "reference": "Keras", "predict": [], "compiled_request": [],
            "request": [], "setup": [{"first_step_s": 2.0, "versions": {"keras": "3"}}],
            "train": [
                {"examples_per_cpu_s": rate, "peak_mb": 900.0, "others": 0.5} for rate in rounds
            ],
        }
        for label, rounds in rates.items()
    }
    machine = {"cpu": "A", "cores": 2, "memory_gib": 8}
    return {
        "date": "2030-01-02", "rounds": 3, "batch": 1000, "machine": machine, "subjects": subjects,
        "trains_only": trains_only,
    }


# ---- data ----------------------------------------------------------------------------------


def test_data_depend_on_the_seed_alone(speed):
    for make in (speed.workloads.tabular, speed.workloads.behavior):
        one, same, other = make(50, seed=1), make(50, seed=1), make(50, seed=2)
        assert all((one.arrays[name] == same.arrays[name]).all() for name in one.arrays)
        assert any((one.arrays[name] != other.arrays[name]).any() for name in one.arrays)


def test_tabular_has_the_documented_tables(speed):
    data = speed.workloads.tabular(200)
    assert sum(data.table_rows.values()) == 324_475
    assert data.arrays["numbers"].shape == (200, 13)
    assert all(data.arrays[name].max() < rows for name, rows in data.table_rows.items())


def test_histories_are_left_aligned_and_have_negatives_at_real_steps(speed):
    arrays = speed.workloads.behavior(300).arrays
    is_real = np.arange(50) < arrays["seq_length"][:, None]
    assert arrays["seq_length"].min() >= 5
    for name in ("hist_item", "hist_cate", "neg_hist_item", "neg_hist_cate"):
        assert ((arrays[name] > 0) == is_real).all(), name
    assert (arrays["item"] > 0).all()


def test_frequent_ids_are_as_frequent_as_zipf_says(speed):
    ids = speed.workloads.zipf_ids(np.random.default_rng(0), 200_000, 100, first=1)
    assert ids.min() >= 1 and ids.max() <= 100
    counts = np.sort(np.bincount(ids))[::-1]
    assert counts[0] / counts[3] == pytest.approx(4**1.05, rel=0.1)


def test_a_large_table_gets_as_many_distinct_rows_as_a_small_one(speed):
    field = speed.workloads.LARGE_FIELD
    small, large = (speed.workloads.large_table(rows, 500) for rows in (10_000, 10_000_000))
    assert (large.arrays[field] == 1000 * small.arrays[field]).all()
    assert large.table_rows[field] == 10_000_000
    others = [name for name in small.arrays if name != field]
    assert all((small.arrays[name] == large.arrays[name]).all() for name in others)


def test_data_come_back_from_a_file(speed, tmp_path):
    data = speed.workloads.behavior(20)
    data.save(tmp_path / "data.npz")
    again = speed.workloads.Workload.load(tmp_path / "data.npz")
    assert again.table_rows == data.table_rows and again.arrays.keys() == data.arrays.keys()
    assert all((again.arrays[name] == data.arrays[name]).all() for name in data.arrays)


# ---- cases and tables ----------------------------------------------------------------------


def test_every_case_can_be_run_and_has_its_reference(speed):
    for name, case in speed.cases.CASES.items():
        labels = [entry.label for entry in case.entries]
        assert len(set(labels)) == len(labels), name
        for entry in case.entries:
            assert (FOLDER / f"subject_{entry.subject}.py").exists()
            assert (entry.reference or case.reference) in labels
            assert (entry.workload or case.workload) in speed.workloads.WORKLOADS


def test_ratios_are_taken_within_a_round(speed):
    case = _case(ours=[10, 200, 30], Keras=[5, 100, 10])
    ours, keras = (case["subjects"][label]["train"] for label in ("ours", "Keras"))
    assert speed.table.paired_ratio(ours, keras) == 2
    assert speed.table.paired_ratio(ours, []) is None


def test_table_has_a_line_a_subject_and_names_what_failed(speed):
    case = _case(ours=[10, 30, 20], Keras=[10, 10, 10])
    case["subjects"]["peer"] = {"error": "VARIABLE was not set"}
    text = speed.table.case_table(case)
    assert "| ours | 20 | 10 to 30 | 2.00 | 2.0 | 900 | – | – | – |" in text
    assert text.endswith("Not measured: peer, VARIABLE was not set.")


def test_table_of_steps_has_times_and_their_ratio(speed):
    case = _case(trains_only=True, ours=[1000, 2000, 4000], Keras=[4000, 8000, 16000])
    assert "| ours | 500.0 | 250.0 to 1,000.0 | 4.00 | 2.0 | 900 |" in speed.table.case_table(case)


def test_page_gets_its_table_between_the_markers(speed):
    results = {"cases": {"DIN": _case(ours=[2], Keras=[1])}}
    page = "before\n<!-- speed:begin DIN -->\nold\n<!-- speed:end DIN -->\nafter\n"
    filled = speed.table.filled(page, results)
    assert filled.startswith("before\n") and filled.endswith("after\n") and "old" not in filled
    assert "| ours | 2 |" in filled and "Measured 2030-01-02" in filled
    assert "moved by 0%" in filled and "other programs kept 0.5 cores" in filled
    assert speed.table.filled(filled, results) == filled
    with pytest.raises(ValueError, match="speed:begin DIN"):
        speed.table.filled("no markers", results)


def test_docs_show_the_committed_results(speed):
    results = json.loads(speed.table.RESULTS.read_text(encoding="utf-8"))
    page = speed.table.PAGE.read_text(encoding="utf-8")
    assert page == speed.table.filled(page, results), "run: python benchmarks/speed/table.py"
    assert set(results["cases"]) == set(speed.cases.CASES)


def test_an_unknown_case_is_named(speed, capsys):
    with pytest.raises(SystemExit):
        speed.run.main(["--models", "DIM"])
    assert "no case 'DIM'" in capsys.readouterr().err


# ---- guard ---------------------------------------------------------------------------------


def test_guard_judges_by_direction(speed):
    row = speed.guard.Row
    assert row("speed", 2, 1, 2.0, 1.5, True).is_good
    assert not row("speed", 1, 1, 1.0, 1.5, True).is_good
    assert row("first step", 1, 1, 1.0, 1.5, False).is_good
    assert not row("first step", 2, 1, 2.0, 1.5, False).is_good
    assert "OUT OF BOUNDS" in str(row("first step", 2, 1, 2.0, 1.5, False))


def test_guard_names_the_row_and_fails(speed, monkeypatch, capsys):
    bad = speed.guard.Row("DIN, examples / CPU s", 1, 2, 0.5, 0.9, True)
    monkeypatch.setattr(speed.guard, "use_one_core", lambda: None)
    monkeypatch.setattr(speed.guard, "measure", lambda: [bad])
    assert speed.guard.main() == 1
    assert "DIN, examples / CPU s: ours by Keras's is 0.50" in capsys.readouterr().err
    monkeypatch.setattr(speed.guard, "measure", lambda: [])
    assert speed.guard.main() == 0


def test_every_bound_has_data(speed):
    assert speed.guard.BOUNDS.keys() == speed.guard.DATA.keys()
