"""The cost of an estimate: products, evaluations, time in gradients, memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from statistics import median, quantiles
from typing import Any

import torch
from torch import Tensor

from bilevel.derivatives import Curvature, Derivatives
from bilevel.estimators import Estimator
from bilevel.linear import Action, LinearOperator
from bilevel.losses import like
from bilevel.problem import BilevelProblem
from bilevel.vector import Vector


@dataclass
class Count:
    """Numbers of products and evaluations.

    Attributes:
        hessian_products: products with H; None where an estimator's products cannot be counted.
        mixed_products: products with B or its transpose.
        inner_evaluations: evaluations of L_train, each with its gradient.
        outer_evaluations: evaluations of L_val, each with its gradient.
    """

    hessian_products: int = 0
    mixed_products: int = 0
    inner_evaluations: int = 0
    outer_evaluations: int = 0


def counted(
    estimator: Estimator, problem: BilevelProblem
) -> tuple[Estimator, BilevelProblem, Count]:
    """The same estimator and problem, and a count that grows as they are used."""
    count = Count()

    @like(problem.inner)
    def inner(*arguments: Any) -> Tensor:
        count.inner_evaluations += 1
        return problem.inner(*arguments)

    @like(problem.outer)
    def outer(*arguments: Any) -> Tensor:
        count.outer_evaluations += 1
        return problem.outer(*arguments)

    if is_dataclass(estimator) and any(f.name == "derivatives" for f in fields(estimator)):
        watched = CountedDerivatives(estimator.derivatives, count)
        estimator = replace(estimator, derivatives=watched)
    return estimator, BilevelProblem(inner, outer), count


@dataclass(frozen=True)
class CountedDerivatives(Derivatives):
    """Derivatives whose products are counted."""

    taken: Derivatives
    count: Count

    def __call__(self, problem: BilevelProblem, omega: Vector, alpha: Vector) -> Curvature:
        curvature = self.taken(problem, omega, alpha)
        return replace(
            curvature,
            hessian=_watched(curvature.hessian, self.count, "hessian_products"),
            mixed=_watched(curvature.mixed, self.count, "mixed_products"),
        )


def _watched(operator: LinearOperator, count: Count, what: str) -> LinearOperator:
    """The operator, with both of its maps adding to `what`, one for each vector of several."""

    def counting(action: Action, domain: Vector) -> Action:
        def act(v: Vector) -> Vector:
            several = v.leaves[0].dim() > domain.leaves[0].dim()
            setattr(count, what, getattr(count, what) + (len(v.leaves[0]) if several else 1))
            return action(v)

        return act

    adjoint = operator.transposed_action
    return replace(
        operator,
        action=counting(operator.action, operator.domain),
        transposed_action=None if adjoint is None else counting(adjoint, operator.codomain),
    )


@dataclass(frozen=True)
class Ratio:
    """A time in units of another one: the median over repetitions and the middle half of them."""

    median: float
    low: float
    high: float

    @staticmethod
    def of(times: Sequence[float], units: Sequence[float]) -> Ratio:
        """From times taken in turn, so that each ratio sees one state of the machine."""
        ratios = [t / u for t, u in zip(times, units, strict=True)]
        if len(ratios) == 1:
            return Ratio(ratios[0], ratios[0], ratios[0])
        low, _, high = quantiles(ratios, n=4, method="inclusive")
        return Ratio(median(ratios), low, high)


def interleaved_seconds(
    calls: Sequence[Callable[[], object]],
    *,
    repetitions: int,
    device: torch.device,
) -> list[list[float]]:
    """Seconds of each call in each repetition; in a repetition every call has one turn.

    Processor seconds of this process on the CPU, where other load then does not count, and wall
    seconds elsewhere.
    """
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    seconds: list[list[float]] = [[] for _ in calls]
    for _ in range(repetitions):
        for call, taken in zip(calls, seconds, strict=True):
            _wait(device)
            began = clock()
            call()
            _wait(device)
            taken.append(clock() - began)
    return seconds


def peak_bytes(call: Callable[[], object], device: torch.device) -> int | None:
    """Most tensor memory alive at once during the call, beyond what was alive before it.

    None where it cannot be measured: on devices other than CPU and CUDA, or a torch without
    the memory records used here.
    """
    if device.type == "cuda":
        _wait(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        call()
        _wait(device)
        return torch.cuda.max_memory_allocated(device) - before
    if device.type != "cpu" or not hasattr(torch.autograd, "_enable_profiler_legacy"):
        return None
    # what torch.profiler's memory records come from, without the log lines that it writes
    records: Any = torch.autograd
    experimental: Any = torch._C._profiler._ExperimentalConfig
    records._enable_profiler_legacy(
        records.ProfilerConfig(
            records.ProfilerState.CPU, False, True, False, False, False, experimental()
        )
    )
    try:
        call()
    finally:
        threads = records._disable_profiler_legacy()
    alive = peak = 0
    for record in (record for thread in threads for record in thread):
        if record.kind() == "memory_alloc":
            alive += record.cpu_memory_usage()
            peak = max(peak, alive)
    return peak


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
