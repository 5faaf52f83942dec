"""python -m proofs_checks.plants: errors written into the text of files, each to be noticed.

`mutants` puts wrong formulas in place of right ones. Here the error is in any text of the project:
a bound, a threshold, a cell of a table, a number of a record, a rule, a place, a word. Each plant
of `plants.toml` is written into a copy of the project, and the check that must notice it runs
there: `claim T9` is one claim of the ledger, anything else a test as pytest names it.
"""

from __future__ import annotations

import importlib
import os
import re
import runpy
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import torch

from proofs_checks.paragraphs import wrapped
from proofs_checks.places import DOCS

FILE = Path(__file__).with_name("plants.toml")
ROOT = DOCS.parent
PAGE = DOCS / "PLANTS.md"
LIBRARIES = (
    "torch",
    "torchvision",
    "sympy",
    "scipy.stats",
    "z3",
    "matplotlib.figure",
    "rich.console",
)
NOT_CAUGHT = "**not caught**"


@dataclass(frozen=True)
class Plant:
    """One planted error.

    Attributes:
        kind: what is wrong: a formula, a bound, a threshold, a record, a word...
        file: in which file, from the project's root.
        old: text that occurs there exactly once.
        new: what stands in its place.
        error: what is wrong, in words.
        check: what must notice it: "claim ID", or arguments of pytest.
    """

    kind: str
    file: str
    old: str
    new: str
    error: str
    check: str

    def planted(self, text: str) -> str:
        """The file's text with the error.

        Raises:
            ValueError: the old text does not occur exactly once.
        """
        count = text.count(self.old)
        if count != 1:
            raise ValueError(
                f"{self.file} has {self.old!r} {count} times, and {FILE.name} plants "
                f"{self.error!r} there. It must occur once: write the text as it is now."
            )
        return text.replace(self.old, self.new)


@dataclass(frozen=True)
class Answer:
    """What a check said: whether it passed, and else in a few words what it noticed."""

    passed: bool
    words: str


def plants() -> tuple[Plant, ...]:
    """Those of `plants.toml`, in its order."""
    return tuple(Plant(**entry) for entry in tomllib.loads(FILE.read_text("utf-8"))["plant"])


@contextmanager
def copied() -> Iterator[Path]:
    """A copy of the project's files in a temporary folder, with the data beside it if there are."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "project"
        for name in filter(None, names.split("\0")):
            if (ROOT / name).is_file():
                (tree / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, tree / name)
        if (ROOT.parent / "shared").exists():
            (tree.parent / "shared").symlink_to((ROOT.parent / "shared").resolve())
        yield tree


def ask(check: str, tree: Path) -> Answer:
    """Run a check in a copy of the project, in a process forked from this one.

    The libraries that take seconds to import are inherited; the project is imported anew, from the
    copy, and no compiled file of it is kept that a planted error could be hidden by.
    """
    kind, _, name = check.partition(" ")
    for library in LIBRARIES:
        importlib.import_module(library)
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        claim = name if kind == "claim" else ""
        process = get_context("fork").Process(
            target=_run, args=(claim, check, tree, output.fileno())
        )
        process.start()
        process.join()
        output.seek(0)
        return Answer(process.exitcode == 0, _noticed(kind, name, output.read()))


def _run(claim: str, check: str, tree: Path, output: int) -> None:
    """In the forked process: one claim, or else what pytest is given."""
    for stream in (1, 2):
        os.dup2(output, stream)
    sys.stdout = sys.stderr = os.fdopen(output, "w", encoding="utf-8", closefd=False)
    os.chdir(tree)
    os.environ |= {"PYTHONPATH": str(tree), "COLUMNS": "400"}
    torch.set_num_threads(1)
    sys.dont_write_bytecode = True
    sys.path[:] = [str(tree), *(p for p in sys.path if Path(p or ".").resolve() != ROOT)]
    copies = {path.stem for path in tree.iterdir()}
    for module in [name for name in sys.modules if name.partition(".")[0] in copies]:
        del sys.modules[module]
    if claim:
        sys.argv = ["proofs_checks", "--jobs", "1", "--claim", claim]
        runpy.run_module("proofs_checks", run_name="__main__")
    words = ["-n0", "-x", "-q", "-p", "no:cacheprovider", *check.split()]
    sys.exit(importlib.import_module("pytest").main(words))


def _noticed(kind: str, name: str, output: str) -> str:
    """The test or the evidence that failed, or the error that was raised."""
    for line in output.splitlines():
        if line.startswith(("FAILED ", "ERROR ")):
            return _readable(line.partition("::")[2].partition(" - ")[0] or line.split()[1])
        if kind == "claim" and line.startswith(f"{name}: "):
            return line.removeprefix(f"{name}: ").strip()
    lines = output.strip().splitlines() or [""]
    return lines[-1].partition(". ")[0]


def _readable(test: str) -> str:
    """A test's name with the letters that pytest escapes."""
    return re.sub(r"\\[xu]([0-9a-f]{2,4})", lambda found: chr(int(found[1], 16)), test)


def try_out(plant: Plant, tree: Path) -> Answer:
    """What its check says of the copy with the error in it; the copy is restored."""
    path = tree / plant.file
    text = path.read_text(encoding="utf-8")
    path.write_text(plant.planted(text), encoding="utf-8")
    try:
        return ask(plant.check, tree)
    finally:
        path.write_text(text, encoding="utf-8")


def require_passing(checks: Sequence[str], tree: Path) -> None:
    """Every check passes without an error: else being caught would mean nothing.

    Raises:
        RuntimeError: one fails.
    """
    for check in dict.fromkeys(checks):
        answer = ask(check, tree)
        if not answer.passed:
            raise RuntimeError(f"{check} fails with nothing planted: {answer.words}")


def page(caught: Sequence[tuple[Plant, str]]) -> str:
    """docs/PLANTS.md."""
    missed = sum(words == NOT_CAUGHT for _, words in caught)
    lines = [
        "# Planted errors",
        "",
        "For a reader who doubts that the checks of this project can fail. Each row is an error "
        "that was written into one file of a copy of the project, and what noticed it: a test, or "
        "a piece of a claim's evidence.",
        "",
        f"Of {len(caught)} errors {missed or 'none'} went unnoticed. The errors that were planted "
        "in formulas are at the end of [the ledger](LEDGER.md#planted-errors).",
        "",
        "`python -m proofs_checks.plants` plants all of them again, and says which are caught. "
        "With words, such as `python -m proofs_checks.plants bound`, it takes those whose entry "
        "has all of the words. `proofs_checks/plants.toml` has the texts. "
        "`python -m proofs_checks.plants --write-docs` writes this page.",
        "",
        "| kind | file | planted error | check | noticed by |",
        "|---|---|---|---|---|",
    ]
    for plant, words in caught:
        cells = (plant.kind, f"`{plant.file}`", plant.error, f"`{plant.check}`", words)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return wrapped("\n".join(lines)) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Plant, and say what is caught; the return value is the exit status, 1 if any is missed.

    Args:
        arguments: words, of which a plant must have all to be chosen; or --write-docs, which plants
            everything and writes the page.
    """
    write_docs = list(arguments) == ["--write-docs"]
    words_wanted = () if write_docs else arguments
    chosen = [plant for plant in plants() if all(word in str(plant) for word in words_wanted)]
    if not chosen:
        print(f"no plant of {FILE.name} has all of the words {', '.join(words_wanted)}")
        return 2
    caught = []
    with copied() as tree:
        require_passing([plant.check for plant in chosen], tree)
        for plant in chosen:
            start = time.monotonic()
            answer = try_out(plant, tree)
            words = NOT_CAUGHT if answer.passed else answer.words
            caught.append((plant, words))
            seconds = time.monotonic() - start
            print(f"{plant.kind}: {plant.error}: {words} ({seconds:.0f} s)", flush=True)
    missed = sum(words == NOT_CAUGHT for _, words in caught)
    print(f"{len(caught) - missed} of {len(caught)} planted errors caught")
    if write_docs:
        PAGE.write_text(page(caught), encoding="utf-8")
        print(f"wrote {PAGE}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
