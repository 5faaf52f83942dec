"""Names become objects here, and nowhere else: estimators, spaces, genotypes, loggers."""

import importlib
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, cast

from bilevel import Autograd, CentralDifference
from bilevel.estimators import (
    Amended,
    DartsSecondOrder,
    Estimator,
    Exact,
    FirstOrder,
    Identity,
)
from darts.data import Cifar10, Digits
from darts.reports.loggers import LoggerMaker, csv_logger
from darts.runs.config import FullConfig, RetrainConfig, SearchConfig
from darts.runs.extras import require_extra
from darts.spaces import S1, S1_FIXED, Genotype, Space
from darts.spaces.arrangement import OnePerCell, Stages, TwoKinds
from darts.spaces.notation import genotype_from_text
from darts.spaces.published import PUBLISHED


class UsageError(Exception):
    """The command line asks for something that cannot be; exit status 2."""


ESTIMATORS: Mapping[str, type[Estimator]] = {
    "exact": Exact,
    "first-order": FirstOrder,
    "identity": Identity,
    "darts-second-order": DartsSecondOrder,
    "amended": Amended,
}
USUAL: Mapping[str, Mapping[str, float]] = {"amended": {"eta": 0.1}}
"""Parameters that a name alone stands for: the paper's η (§4.1.1)."""
DERIVATIVES = {"autograd": Autograd(), "central-difference": CentralDifference()}
SPACES: Mapping[str, Space] = {space.name: space for space in (S1, S1_FIXED)}
TYPES: Mapping[str, type] = {
    kind.__name__: kind
    for kind in (
        *(FullConfig, SearchConfig, RetrainConfig, Digits, Cifar10, Space),
        *ESTIMATORS.values(),
        *(Autograd, CentralDifference),
        *(TwoKinds, OnePerCell, Stages),
    )
}
"""Every type that a config.json may name."""


def genotype_named(name: str | None) -> Genotype:
    """The genotype of a file, a run folder, or a publication."""
    if name is None:
        raise UsageError(
            "retrain needs --genotype: a genotype's JSON file, a run folder, or one of "
            f"{', '.join(PUBLISHED)}."
        )
    if name in PUBLISHED:
        return PUBLISHED[name].genotype
    path = Path(name) / "genotype.json" if Path(name).is_dir() else Path(name)
    if not path.is_file():
        raise UsageError(
            f"No genotype {name!r}: there is no file {path}, and it is none of the published "
            f"ones, {', '.join(PUBLISHED)}."
        )
    text = path.read_text(encoding="utf-8")
    return genotype_from_text(text) if "Genotype(" in text else Genotype.from_json(text)


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


def estimator_from_text(text: str) -> Estimator:
    """The estimator that e.g. "amended:eta=0.2,derivatives=central-difference" names."""
    name, _, rest = text.partition(":")
    if name not in ESTIMATORS:
        raise ValueError(f"No estimator {name!r}; there are {', '.join(ESTIMATORS)}.")
    kind = ESTIMATORS[name]
    known = {entry.name: entry for entry in fields(cast(Any, kind)) if entry.name != "velocity"}
    values: dict[str, Any] = dict(USUAL.get(name, {}))
    for part in filter(None, rest.split(",")):
        key, _, value = part.partition("=")
        if key == "difference_step" and "derivatives" in known:
            values["derivatives"] = CentralDifference(step=_number(key, value))
        elif key == "derivatives" and key in known:
            if value not in DERIVATIVES:
                raise ValueError(f"No derivatives {value!r}; there are {', '.join(DERIVATIVES)}.")
            values[key] = DERIVATIVES[value]
        elif key in known:
            number = _number(key, value)
            values[key] = int(number) if known[key].type in (int, "int") else number
        else:
            options = ", ".join(known) or "none"
            raise ValueError(f"{name} has no parameter {key!r}; it has {options}.")
    absent = [
        key
        for key, entry in known.items()
        if entry.default is MISSING and entry.default_factory is MISSING and key not in values
    ]
    if absent:
        raise ValueError(f"{name} needs {absent[0]}, for instance {name}:{absent[0]}=0.1.")
    return kind(**values)


def estimator_to_text(estimator: Estimator) -> str:
    """The inverse of `estimator_from_text`."""
    name = next(name for name, kind in ESTIMATORS.items() if type(estimator) is kind)
    parts = []
    for entry in fields(cast(Any, estimator)):
        value = getattr(estimator, entry.name)
        if entry.name == "derivatives":
            if isinstance(value, CentralDifference) and value.step:
                parts.append(f"difference_step={value.step}")
            elif isinstance(value, CentralDifference):
                parts.append("derivatives=central-difference")
        elif value is not None and value != entry.default:
            parts.append(f"{entry.name}={value}")
    return f"{name}:{','.join(parts)}" if parts else name


def _number(key: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{key}={text}: it must be a number.") from None


def space_from_text(text: str) -> Space:
    if text not in SPACES:
        raise ValueError(f"No space {text!r}; there are {', '.join(SPACES)}.")
    return SPACES[text]
