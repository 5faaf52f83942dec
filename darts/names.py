"""The names of settings: the choices of each idea, and the class that each name stands for."""

from collections import ChainMap
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import darts.methods as methods
from bilevel import estimators
from bilevel.derivatives import ReverseOverForward
from bilevel.estimators import Estimator
from darts.config.compute import Computing
from darts.config.full import FullConfig
from darts.config.retrain import RetrainConfig
from darts.config.schedule import HalfCosine, Linear, Schedule
from darts.config.search import AMENDED, SearchConfig
from darts.config.value_names import DERIVATIVES, Names
from darts.data.sets import DATA_SETS as DATA_SETS
from darts.data.sets import DATA_TYPES
from darts.methods import (
    AlphaPenalty,
    AuxiliarySkip,
    Mixing,
    PartialChannels,
    Perturbation,
    Progressive,
    Removal,
    Stop,
    Target,
)
from darts.networks.stem_and_head import ImageNetStemAndHead, SmallImageStemAndHead, StemAndHead
from darts.networks.width import MultiplyAddLimit, Width
from darts.spaces import Space
from darts.spaces.macro_architecture import OnePerCell, Stages, TwoKinds

_FEW = {"derivatives": ReverseOverForward()}
"""Of estimators that take few products at a point, for which it is faster than a graph."""
ESTIMATORS = Names(
    "estimator",
    {
        "exact": estimators.Exact,
        "first-order": estimators.FirstOrder,
        "identity": estimators.Identity,
        "darts-second-order": estimators.DartsSecondOrder,
        "amended": estimators.Amended,
        "neumann": estimators.Neumann,
        "landweber": estimators.Landweber,
        "conjugate-gradient": estimators.ConjugateGradient,
        "minres": estimators.Minres,
        "nystrom": estimators.Nystrom,
        "unrolled": estimators.Unrolled,
        "penalty": estimators.Penalty,
        "certified": estimators.Certified,
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
        "softmax": methods.Softmax,
        "gumbel-softmax": methods.GumbelSoftmax,
        "sampled-path": methods.SampledPath,
        "two-paths": methods.TwoPaths,
        "sigmoid": methods.Sigmoid,
    },
)
PARTIAL_CHANNELS = Names("partial channels", {"partial": PartialChannels}, optional=True)
AUXILIARY_SKIPS = Names("auxiliary skip", {"fading": AuxiliarySkip}, optional=True)
PERTURBATIONS = Names(
    "perturbation",
    {"random": methods.RandomPerturbation, "adversarial": methods.AdversarialPerturbation},
    optional=True,
)
PROGRESSIVE = Names("progressive stages", {"p-darts": Progressive}, optional=True)
STOPS = Names(
    "stop",
    {"skip-limit": methods.SkipLimit, "eigenvalue-growth": methods.EigenvalueGrowth},
    optional=True,
)
TARGETS = Names(
    "target",
    {
        "limit": methods.CostLimit,
        "weight": methods.CostWeight,
        "product": methods.CostProduct,
    },
    optional=True,
)
SELECTIONS = Names("selection", {"removal": methods.Removal}, optional=True)
ALPHA_PENALTIES = Names(
    "alpha penalty",
    {"beta-decay": methods.BetaDecay, "zero-one": methods.ZeroOne},
    optional=True,
)
STEMS = Names("stem", {"small-images": SmallImageStemAndHead, "imagenet": ImageNetStemAndHead})
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
    Target | None: TARGETS,
    AlphaPenalty | None: ALPHA_PENALTIES,
    Removal | None: SELECTIONS,
    StemAndHead: STEMS,
    Width: WIDTHS,
    Width | None: replace(WIDTHS, optional=True),
    Schedule: SCHEDULES,
}
"""By the type that a setting declares."""
_TYPES: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        *(FullConfig, SearchConfig, RetrainConfig, Computing, Space),
        *(kind for names in (*NAMES.values(), DERIVATIVES) for kind in names.kinds.values()),
        *(TwoKinds, OnePerCell, Stages),
    )
}
TYPES: Mapping[str, type] = ChainMap(_TYPES, DATA_TYPES)  # type: ignore[arg-type]
"""Every type that a config.json may name, data sets registered later included."""
