"""Genotypes and loggers by their names on the command line."""

import difflib
import importlib
from functools import partial
from pathlib import Path

from darts.commands.errors import UsageError, refusing
from darts.extras import require_extra
from darts.networks.blueprint import DESCRIPTION
from darts.records.run_folder import RunFolder
from darts.records.untrusted import read_text
from darts.reports.events import TensorBoardEvents
from darts.reports.loggers import FabricLogger, ListenerMaker, csv_logger
from darts.spaces import Genotype
from darts.spaces.notation import LAST, genotype_from_text
from darts.spaces.published import PUBLISHED
from darts.training.search import STAGE as SEARCH


def genotype_named(name: str | None) -> Genotype:
    """The genotype that a word on the command line stands for; every command refuses it alike.

    A published name; a text in any notation that `genotype_from_text` reads; a file that holds
    one; a run folder, an exported folder, or RUN@25 for the genotype of the search in RUN after
    its 25th epoch. Of a file with several genotypes FILE@3, FILE@NAME or FILE@last is one.

    Raises:
        UsageError: there is nothing of this name, or the text, file or folder holds no genotype,
            or several.
    """
    with refusing():
        return _genotype(name)


def _genotype(name: str | None) -> Genotype:
    if name is None:
        raise UsageError(
            "retrain needs --genotype: Genotype(...) or another notation as text, a file of it, a "
            f"run folder, or one of {', '.join(PUBLISHED)}."
        )
    if name in PUBLISHED:
        return PUBLISHED[name].genotype
    if exists(name):
        return _of_path(Path(name), "")
    place, at, which = name.rpartition("@")
    if at and exists(place):
        return _of_path(Path(place), which)
    if _is_text(name):
        return genotype_from_text(name)
    close = difflib.get_close_matches(name, PUBLISHED, n=1, cutoff=0.7)
    close = close or [known for known in PUBLISHED if known.lower() == name.lower()]
    raise UsageError(
        f"No genotype {name[:200]!r}: it is no file, no folder and no text of a genotype, and none "
        f"of the published ones, {', '.join(PUBLISHED)}."
        + (f" Did you mean {close[0]}?" if close else "")
    )


def _is_text(name: str) -> bool:
    """Whether it is more than a name: it has brackets, bars or lines."""
    return any(mark in name for mark in "([{|\n")


def exists(name: str) -> bool:
    """Whether it is a file or folder, and not the text of a genotype."""
    try:
        return bool(name) and Path(name).exists()
    except (OSError, ValueError):  # longer than a name can be, or with a zero byte
        return False


def _of_path(path: Path, which: str) -> Genotype:
    """The genotype of a file or folder; `which` is what stands after the @."""
    if path.is_dir():
        return _of_folder(path, which)
    text = read_text(path)
    try:
        return genotype_from_text(text, which)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _of_folder(path: Path, which: str) -> Genotype:
    epochs = RunFolder(path).records(f"{SEARCH}/epochs")
    if which:
        number = len(epochs) if which == LAST else int(which) if which.isdecimal() else 0
        if not 1 <= number <= len(epochs):
            raise UsageError(
                f"{path}@{which}: the search in {path} has records of {len(epochs)} epochs. "
                + (
                    f"Give a number from 1 to {len(epochs)}, or {LAST}."
                    if epochs
                    else "Name a folder that darts search or full-search wrote."
                )
            )
        return Genotype.from_dict(epochs[number - 1]["genotype"])
    for name in ("genotype.json", DESCRIPTION, "genotype.txt"):
        if (path / name).is_file():
            return _of_path(path / name, "")
    if epochs:
        raise UsageError(
            f"{path} has no genotype.json: its search is not finished. Go on with --resume {path}, "
            f"or take what it had after an epoch: {path}@{len(epochs)}."
        )
    raise UsageError(
        f"{path} has neither genotype.json, {DESCRIPTION} nor genotype.txt. Name a folder that a "
        "run or darts export wrote, or a file."
    )


def logger_named(text: str) -> ListenerMaker:
    """tensorboard, csv, or "module:function" for one that makes the logger of a run's folder."""
    if text == "tensorboard":
        require_extra("tensorboard", "--loggers tensorboard", "tensorboard")
        return TensorBoardEvents
    if text == "csv":
        require_extra("fabric", "The CSV logger", "lightning_fabric")
        return partial(FabricLogger, csv_logger)
    module, _, name = text.partition(":")
    try:
        make = getattr(importlib.import_module(module), name, None) if name else None
    except ImportError as error:
        raise UsageError(f"--loggers {text}: {error}. Is its folder in PYTHONPATH?") from error
    if not callable(make):
        raise UsageError(
            f"--loggers {text}: give tensorboard, csv, or module:function, a function of the "
            "run's folder that returns a lightning.fabric.loggers.Logger."
        )
    return partial(FabricLogger, make)
