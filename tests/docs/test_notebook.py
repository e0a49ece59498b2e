"""The notebook runs from top to bottom on this machine, with few rows."""

import ast

import nbformat
from nbclient import NotebookClient

from tests.docs.markdown import ROOT

PATH = ROOT / "examples" / "colab_tpu.ipynb"


def _printed(cell):
    return "".join(output.get("text", "") for output in cell.outputs if output.name == "stdout")


def test_notebook_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPREC_TF_NOTEBOOK_ROWS", "1500")
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(PATH, as_version=4)
    client = NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    client.execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert "1 replica(s)" in _printed(cells[1])
    scores, differences = (ast.literal_eval(_printed(cell).splitlines()[-1]) for cell in cells[-2:])
    assert 0.3 < scores["auc"] <= 1.0
    assert len(differences) == 2 and max(differences.values()) < 1e-4


def test_notebook_is_committed_without_outputs():
    notebook = nbformat.read(PATH, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs") and cell.get("execution_count") is None
