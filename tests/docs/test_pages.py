"""The Python of README and docs runs, page by page, and prints what the page says it prints."""

import contextlib
import io
import re

import pytest

from tests.docs.markdown import ROOT, blocks

COMPILED = True

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_python_blocks_run(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "page"}
    for block in blocks(path, "python"):
        # Blank lines first, so that a traceback has the page's line numbers.
        code = compile("\n" * (block.line - 1) + block.text, str(path), "exec")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, namespace)
        if block.results:
            assert printed.getvalue().splitlines() == block.results, f"{path}:{block.line}"


def test_there_is_python_to_run():
    assert sum(len(blocks(path, "python")) for path in PAGES) > 20


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_no_machine_of_ours_is_named(path):
    text = path.read_text(encoding="utf-8")
    assert "/work/" not in text and "/home/" not in text and "/root/" not in text


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_somewhere(name):
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / name).read_text(encoding="utf-8"))
    broken = [t for t in targets if not t.startswith("http") and not (ROOT / t).exists()]
    assert not broken
