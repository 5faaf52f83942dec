"""Names become objects here, and nowhere else: estimators, spaces, genotypes, loggers."""

import importlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast, get_args

from bilevel import Autograd, CentralDifference
from bilevel.estimators import (
    Amended,
    Certified,
    ConjugateGradient,
    DartsSecondOrder,
    Estimator,
    Exact,
    FirstOrder,
    Identity,
    Landweber,
    Minres,
    Neumann,
    Nystrom,
    Penalty,
    Unrolled,
)
from bilevel.reverse_over_forward import ReverseOverForward
from darts.data import DataSet
from darts.methods import (
    AdversarialPerturbation,
    AuxiliarySkip,
    EigenvalueGrowth,
    GumbelSoftmax,
    Mixing,
    PartialChannels,
    Perturbation,
    Progressive,
    RandomPerturbation,
    SampledPath,
    SkipLimit,
    Softmax,
    Stop,
    TwoPaths,
)
from darts.networks.frames import Frame, ImageNetFrame, SmallImageFrame
from darts.networks.width import MultiplyAddLimit, Width
from darts.reports.loggers import LoggerMaker, csv_logger
from darts.runs.computing import Computing
from darts.runs.config import AMENDED, FullConfig, RetrainConfig, SearchConfig
from darts.runs.extras import require_extra
from darts.runs.schedule import HalfCosine, Linear, Schedule
from darts.runs.untrusted import read_text
from darts.spaces import Genotype, Space
from darts.spaces.arrangement import OnePerCell, Stages, TwoKinds
from darts.spaces.nasbench201 import from_string
from darts.spaces.notation import genotype_from_text
from darts.spaces.published import PUBLISHED
from darts.value_names import Names


class UsageError(Exception):
    """The command line asks for something that cannot be; exit status 2."""


_FEW = {"derivatives": ReverseOverForward()}
"""Of estimators that take few products at a point, for which it is faster than a graph."""
ESTIMATORS = Names(
    "estimator",
    {
        "exact": Exact,
        "first-order": FirstOrder,
        "identity": Identity,
        "darts-second-order": DartsSecondOrder,
        "amended": Amended,
        "neumann": Neumann,
        "landweber": Landweber,
        "conjugate-gradient": ConjugateGradient,
        "minres": Minres,
        "nystrom": Nystrom,
        "unrolled": Unrolled,
        "penalty": Penalty,
        "certified": Certified,
    },
    usual={
        "amended": {"eta": AMENDED.eta, **_FEW},
        "identity": _FEW,
        "darts-second-order": _FEW,
        "unrolled": _FEW,
    },
)
MIXINGS = Names(
    "mixing",
    {
        "softmax": Softmax,
        "gumbel-softmax": GumbelSoftmax,
        "sampled-path": SampledPath,
        "two-paths": TwoPaths,
    },
)
PARTIAL_CHANNELS = Names("partial channels", {"partial": PartialChannels}, optional=True)
AUXILIARY_SKIPS = Names("auxiliary skip", {"fading": AuxiliarySkip}, optional=True)
PERTURBATIONS = Names(
    "perturbation",
    {"random": RandomPerturbation, "adversarial": AdversarialPerturbation},
    optional=True,
)
PROGRESSIVE = Names("progressive stages", {"p-darts": Progressive}, optional=True)
STOPS = Names(
    "stop", {"skip-limit": SkipLimit, "eigenvalue-growth": EigenvalueGrowth}, optional=True
)
FRAMES = Names("frame", {"small-images": SmallImageFrame, "imagenet": ImageNetFrame})
WIDTHS = Names("number of channels", {"within": MultiplyAddLimit}, number=True)
SCHEDULES = Names("schedule", {"half-cosine": HalfCosine, "linear": Linear})
NAMES: Mapping[Any, Names] = {
    Estimator: ESTIMATORS,
    Mixing: MIXINGS,
    PartialChannels | None: PARTIAL_CHANNELS,
    AuxiliarySkip | None: AUXILIARY_SKIPS,
    Perturbation | None: PERTURBATIONS,
    Progressive | None: PROGRESSIVE,
    Stop | None: STOPS,
    Frame: FRAMES,
    Width: WIDTHS,
    Width | None: replace(WIDTHS, optional=True),
    Schedule: SCHEDULES,
}
"""By the type that a setting declares."""
DATA_SETS: Mapping[str, type[DataSet]] = {kind.name: kind for kind in get_args(DataSet)}
"""By the name on the command line."""
TYPES: Mapping[str, type] = {
    kind.__name__: kind
    for kind in (
        *(FullConfig, SearchConfig, RetrainConfig, Computing, Space),
        *DATA_SETS.values(),
        *(kind for names in NAMES.values() for kind in names.kinds.values()),
        *(Autograd, ReverseOverForward, CentralDifference),
        *(TwoKinds, OnePerCell, Stages),
    )
}
"""Every type that a config.json may name."""


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
        return from_string(name)
    path = Path(name) / "genotype.json" if Path(name).is_dir() else Path(name)
    if not path.is_file():
        raise UsageError(
            f"No genotype {name!r}: there is no file {path}, and it is none of the published "
            f"ones, {', '.join(PUBLISHED)}."
        )
    text = read_text(path)
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
