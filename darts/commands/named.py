"""What a name on the command line stands for: a genotype, a logger."""

import importlib
from pathlib import Path
from typing import cast

from darts.commands.errors import UsageError
from darts.extras import require_extra
from darts.records.untrusted import read_text
from darts.reports.loggers import LoggerMaker, csv_logger
from darts.spaces import Genotype
from darts.spaces.notation import genotype_from_text
from darts.spaces.published import PUBLISHED


def genotype_named(name: str | None) -> Genotype:
    """The genotype of a file, a run folder, a publication, or NAS-Bench-201's own notation."""
    if name is None:
        raise UsageError(
            "retrain needs --genotype: a genotype's JSON file, a run folder, or one of "
            f"{', '.join(PUBLISHED)}."
        )
    if name in PUBLISHED:
        return PUBLISHED[name].genotype
    if name.startswith("|"):
        return genotype_from_text(name)
    path = Path(name) / "genotype.json" if Path(name).is_dir() else Path(name)
    if not path.is_file():
        raise UsageError(
            f"No genotype {name!r}: there is no file {path}, and it is none of the published "
            f"ones, {', '.join(PUBLISHED)}."
        )
    return genotype_from_text(read_text(path))


def logger_named(text: str) -> LoggerMaker:
    """csv, or "module:function" for a function that makes the logger of a run's folder."""
    if text == "csv":
        require_extra("fabric", "The CSV logger", "lightning_fabric")
        return csv_logger
    module, _, name = text.partition(":")
    try:
        make = getattr(importlib.import_module(module), name, None) if name else None
    except ImportError as error:
        raise UsageError(f"--loggers {text}: {error}. Is its folder in PYTHONPATH?") from error
    if not callable(make):
        raise UsageError(
            f"--loggers {text}: give csv, or module:function, a function of the run's folder that "
            "returns a lightning.fabric.loggers.Logger."
        )
    return cast(LoggerMaker, make)
