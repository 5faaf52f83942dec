"""The last lines of a command: the files that it wrote, and the commands that may come next."""

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

FILES = (
    "genotype.json",
    "genotype.txt",
    "genotype-1.json",
    "retrain/network.safetensors",
    "summary.json",
    "report.html",
)
"""Of a run, a sweep or a random search, those that people take elsewhere."""


def files_and_next(folder: Path, *commands: Sequence[str | Path]) -> str:
    """The files of a folder that people take elsewhere, and commands, each given as its words."""
    written = [folder / name for name in FILES if (folder / name).is_file()]
    return closing(written, *commands)


def closing(files: Iterable[Path], *commands: Sequence[str | Path]) -> str:
    """Lines with files and commands."""
    lines = ["files:", *(f"  {path}" for path in files)]
    following = [f"  {line_of(words)}" for words in commands]
    return "\n".join([*lines, *(["next:", *following] if following else [])])


def line_of(words: Sequence[str | Path]) -> str:
    """A command as a shell takes it."""
    return shlex.join(("darts", *map(str, words)))
