"""The notebooks' check, without a kernel: `nox -s docs` runs the notebooks themselves."""

from __future__ import annotations

import copy
import re

import pytest

from tests import documents

nbformat = pytest.importorskip("nbformat", reason="the extra docs is not installed")
pytest.importorskip("nbclient", reason="the extra docs is not installed")
PATHS = sorted((documents.ROOT / "docs/notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_another_text_of_a_cell_is_told_unless_it_may_vary(path):
    from docs.notebooks.__main__ import VARIES, differences

    kept = nbformat.read(path, as_version=4)
    assert differences(kept, kept) == []
    for number, cell in enumerate(kept.cells):
        if not cell.get("outputs"):
            continue
        other = copy.deepcopy(kept)
        part = other.cells[number].outputs[0]
        if part.output_type == "stream":
            part.text += "?"
        else:
            part.data["text/plain"] += "?"
        told = differences(kept, other)
        assert bool(told) is (VARIES not in cell.metadata.get("tags", ()))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_with_what_it_shows_and_no_error(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells)
    assert not any(part.output_type == "error" for cell in cells for part in cell.outputs)
    links = re.findall(r"\]\(([^)#:]+)\)", "".join(c.source for c in notebook.cells))
    assert all((path.parent / link).exists() for link in links)
