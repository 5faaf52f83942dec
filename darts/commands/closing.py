"""The last lines of a command: the files that it wrote, and the commands that may come next."""

import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from darts.commands.program import started_by
from darts.data.given import Given
from darts.records.run_folder import Record, RunFolder

FILES = (
    "genotype.json",
    "genotype.txt",
    "genotype-1.json",
    "retrain/network.safetensors",
    "summary.json",
    "report.html",
)
"""Of a run, a sweep or a random search, those that people take elsewhere."""
STAGES = ("search", "retrain")
"""Of a run, by their names in its config and their folders."""
LONGEST = 120
"""Characters of an argument that is repeated as it was typed."""

Words = Sequence[str | Path]
"""A command without the program that it is one of, word by word."""


def files_and_next(folder: Path, *commands: Words) -> str:
    """The files of a folder that people take elsewhere, and commands."""
    written = [folder / name for name in FILES if (folder / name).is_file()]
    return closing(written, *commands)


def closing(files: Iterable[Path], *commands: Words) -> str:
    """Lines with files, if there are any, and commands."""
    written = [f"  {path}" for path in files]
    following = [f"  {line_of(words)}" for words in commands]
    parts = (("files:", written), ("next:", following))
    return "\n".join(line for head, lines in parts if lines for line in (head, *lines))


def aside(text: str) -> None:
    """Print to the person at the terminal, and not to a file or program that reads the output."""
    if sys.stdout.isatty():
        print(text, file=sys.stderr)


def line_of(words: Words) -> str:
    """A command as it is typed in a shell."""
    return shlex.join((*started_by.get(), *map(str, words)))


def as_typed(genotype: str) -> str:
    """A genotype's name or place to repeat in a command; of a long text a word in its place."""
    return genotype if len(genotype) <= LONGEST and "\n" not in genotype else "GENOTYPE"


def command_of(config: Record) -> str:
    """The command that goes on with a run of this config, as config.json has it."""
    stages = [stage for stage in STAGES if config[stage] is not None]
    return "full-search" if len(stages) == 2 else stages[0]


def commands_after(folder: Path) -> list[Words]:
    """The next commands for a run; for a folder of several runs, those for its first."""
    configs = sorted(folder.glob("**/config.json"), key=lambda path: (len(path.parts), path))
    if not configs:
        return []
    run = RunFolder(configs[0].parent)
    config, path = run.read("config.json"), run.path
    if "retrain" not in config:  # a random search's
        return [("draw", path), ("count", path)]
    if config["data"]["type"] == Given.__name__:  # no command has the images
        return [("draw", path), ("report", path)]
    if not run.has("result.json"):
        return [(command_of(config), "--resume", path)]
    if config["retrain"] is None:
        place = config["data"].get("root")
        where = ("--data-root", place) if place else ()
        again = ("retrain", "--preset", config["preset"], *where, "--genotype", path)
        return [again, ("draw", path), ("count", path)]
    return [("evaluate", path), ("export", path, "--to", path / "exported")]
