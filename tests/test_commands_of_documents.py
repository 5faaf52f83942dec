"""Every command line of every page is one that the project's programs take."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from darts import cli
from tests import documents


@contextmanager
def only_read() -> Iterator[list[object]]:
    """Commands of `darts` are read by their own parser and then kept, instead of run."""
    seen: list[object] = []
    with pytest.MonkeyPatch.context() as patch:
        for name, (kind, _) in cli.COMMANDS.items():
            module = importlib.import_module(f"darts.commands.{name.replace('-', '_')}")
            patch.setattr(getattr(module, kind), "run", lambda self, given: seen.append(self) or 0)
        yield seen


def refused(words: list[str]) -> str | None:
    """Why the program does not take these words; None if it does."""
    if words[0] == "darts":
        return _refused_by_darts(words[1:])
    if words[:2] == ["python", "-m"]:
        if importlib.util.find_spec(words[2]) is None:
            return f"no module {words[2]}"
        return _refused_by_module(words[2], words[3:])
    if words[:2] == ["nox", "-s"]:
        own = words.index("--") if "--" in words else len(words)
        unknown = set(words[2:own]) - sessions()
        if not unknown and own < len(words):
            return _refused_by_session(words[2], words[own + 1 :])
        return f"no session {unknown}" if unknown else None
    return None


def _refused_by_darts(words: list[str]) -> str | None:
    with only_read() as seen:
        try:
            status = cli.main(words)
        except SystemExit as end:  # a help text has status 0
            status, seen = int(end.code or 0), [None]
    return None if status == 0 and seen else f"status {status}"


def _refused_by_session(name: str, words: list[str]) -> str | None:
    if name == "full_search":
        return _refused_by_darts(["full-search", *words])
    modules = {"experiments": "benchmarks.experiments", "proofs": "proofs_checks"}
    return _refused_by_module(modules[name], words) if name in modules else None


def _refused_by_module(name: str, words: list[str]) -> str | None:
    """By the parser of `python -m NAME`, where it has one; without words it is a bare name."""
    package = importlib.util.find_spec(name).submodule_search_locations is not None
    parser = getattr(importlib.import_module(f"{name}.__main__" if package else name), "_parser", 0)
    try:
        if parser and words:
            parser().parse_args(words)
    except SystemExit as end:
        return f"status {end.code}" if end.code else None
    return None


def sessions() -> set[str]:
    """The names of nox's sessions."""
    tree = ast.parse((documents.ROOT / "noxfile.py").read_text(encoding="utf-8"))
    return {
        node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.decorator_list
    }


WITH_COMMANDS = [p for p in (*documents.PAGES, "CONTRIBUTING.md") if documents.commands(p)]


@pytest.mark.parametrize("page", WITH_COMMANDS)
def test_the_commands_of_the_page_are_taken(page: str) -> None:
    found = {" ".join(words): refused(words) for words in documents.commands(page)}
    assert not {line: why for line, why in found.items() if why}


def test_a_command_that_is_not_there_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "ROOT", tmp_path)
    (tmp_path / "noxfile.py").write_text("@nox.session\ndef tests(session): ...\n")
    wrong = [
        "darts retrain --genotyp DARTS_V2",
        "darts search --preset cifar10-none",
        "darts evaluate",
        "nox -s nothing",
        "nox -s full_search -- --preset none",
        "nox -s proofs -- --claims T7",
        "python -m benchmarks.nothing",
        "python -m benchmarks.experiments --page",
    ]
    right = [
        "darts count DARTS_V2 \\\n  --cells 8  # small",
        "DIR=here darts report RUN",
        "nox -s tests",
    ]
    (tmp_path / "page.md").write_text(
        "`darts COMMAND --help`, `darts count` and `darts retrain --eta ...`\n```\n"
        + "\n".join(wrong[1:] + right)
        + f"\n```\n`{wrong[0]}`\n```text\ndarts nothing here\n```\n"
    )
    found = documents.commands("page.md")
    assert len(found) == len(wrong) + len(right) - 1  # `darts evaluate` alone is a bare name
    assert [why is None for why in map(refused, found)] == [False] * 6 + [True] * 3 + [False]
