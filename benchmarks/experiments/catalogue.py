"""All experiments by name."""

from __future__ import annotations

from benchmarks.experiments.all_edges import CIFAR_EXPERIMENT, DIGITS_EXPERIMENT
from benchmarks.experiments.behaviour import BEHAVIOUR
from benchmarks.experiments.beyond import BEYOND
from benchmarks.experiments.collapse import COLLAPSE
from benchmarks.experiments.cures import CURES_EXPERIMENT
from benchmarks.experiments.definition import Experiment
from benchmarks.experiments.depth import DEPTH
from benchmarks.experiments.direction import DIRECTION
from benchmarks.experiments.eta import ETA
from benchmarks.experiments.no_sharing import NO_SHARING
from benchmarks.experiments.random_search import RANDOM_SEARCH
from benchmarks.experiments.scale import SCALE_EXPERIMENT
from benchmarks.experiments.trap import GRADIENT_TRAP

EXPERIMENTS: dict[str, Experiment] = {
    e.name: e
    for e in (
        COLLAPSE,
        RANDOM_SEARCH,
        DEPTH,
        ETA,
        DIGITS_EXPERIMENT,
        CIFAR_EXPERIMENT,
        BEHAVIOUR,
        BEYOND,
        CURES_EXPERIMENT,
        NO_SHARING,
        DIRECTION,
        GRADIENT_TRAP,
        SCALE_EXPERIMENT,
    )
}
