"""Run the notebooks of this folder in fresh kernels: `python -m docs.notebooks`.

It keeps what they show. `--check` keeps nothing, and ends with status 1 where a cell shows another
text than the file has; cells tagged `varies` (times, and what other processors round) may.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent
VARIES = "varies"


def executed(path: Path) -> nbformat.NotebookNode:
    """The notebook with the outputs of a fresh kernel, in an empty folder; an error is raised.

    The kernel has one thread: sums by several round otherwise.
    """
    os.environ["OMP_NUM_THREADS"] = "1"
    notebook = nbformat.read(path, as_version=4)
    with TemporaryDirectory() as folder:
        client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": folder}})
        client.execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # when it ran
    notebook.metadata.pop("language_info", None)  # which Python ran it
    return notebook


def differences(kept: nbformat.NotebookNode, new: nbformat.NotebookNode) -> list[str]:
    """The cells that show another text, without those that may."""
    found = []
    for number, (old, fresh) in enumerate(zip(kept.cells, new.cells, strict=True), start=1):
        if old.cell_type == "code" and VARIES not in old.metadata.get("tags", ()):
            shown, shows = texts(old), texts(fresh)
            if shown != shows:
                found.append(f"cell {number} shows {shows!r} and not {shown!r}")
    return found


def texts(cell: nbformat.NotebookNode) -> list[str]:
    """What a cell prints and shows as text; the parts of one stream joined."""
    streams = "".join(part.text for part in cell.outputs if part.output_type == "stream")
    shown = [part.data.get("text/plain", "") for part in cell.outputs if "data" in part]
    return [streams, *shown]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m docs.notebooks", description=__doc__)
    parser.add_argument("names", nargs="*", help="of notebooks, without .ipynb; by default all")
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    options = parser.parse_args(argv)
    status = 0
    for path in sorted(FOLDER.glob("*.ipynb")):
        if options.names and path.stem not in options.names:
            continue
        new = executed(path)
        if options.check:
            wrong = differences(nbformat.read(path, as_version=4), new)
            status = max(status, int(bool(wrong)))
            print(f"{path.name}: {'; '.join(wrong) or 'as kept'}")
        else:
            nbformat.write(new, path)
            print(path)
    return status


if __name__ == "__main__":
    sys.exit(main())
