"""The names of settings: what there is of each idea, and the class that each name stands for."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

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
from darts.config.compute import Computing
from darts.config.full import FullConfig
from darts.config.retrain import RetrainConfig
from darts.config.schedule import HalfCosine, Linear, Schedule
from darts.config.search import AMENDED, SearchConfig
from darts.config.value_names import Names
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
from darts.spaces import Space
from darts.spaces.arrangement import OnePerCell, Stages, TwoKinds

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
