"""Steps of a search on a device: the reference's and the project's, eager and captured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.card.timing import Case
from benchmarks.steps import Setting
from bilevel import BilevelProblem, CentralDifference
from bilevel.derivatives import ReverseOverForward
from bilevel.estimators import (
    Amended,
    ConjugateGradient,
    DartsSecondOrder,
    Estimator,
    FirstOrder,
)
from bilevel.problem import Loss
from bilevel.reading import left_on_device
from bilevel.solver import inner_step, outer_step
from darts.networks.adapter import SupernetAdapter
from darts.networks.architecture import Alpha, Architecture
from darts.training.captured import GPU_LAYOUT
from darts.training.optimizers import alpha_optimizer, weights_optimizer

FLOAT32, TF32, BF16 = "float32", "TF32", "bf16"
WEIGHT, SEARCH = "weight step", "first-order search step"
"""One of ω; and one of α and one of ω."""
ALPHA = {
    "first-order α step": FirstOrder(),
    "amended exact": Amended(0.1, derivatives=ReverseOverForward()),
    "amended by differences": Amended(0.1, derivatives=CentralDifference(0.1)),
    "DARTS second order": DartsSecondOrder(derivatives=CentralDifference(0.01)),
}
"""Steps of α alone, by estimators that read no number."""
CG5 = "CG-5"
READING = {
    CG5: ConjugateGradient(
        5, tolerance=None, damping=1.0, derivatives=ReverseOverForward(), stationary=None
    )
}
"""Steps of α by estimators that decide by numbers."""
EAGER, CAPTURED = "eager", "captured"
OURS, NCHW, REFERENCE = "ours", "ours NCHW", "reference"
"""Ours with channels last, and not; the product has one of the two on a GPU."""
PRODUCT = OURS if torch.channels_last == GPU_LAYOUT else NCHW


def named(who: str, form: str, precision: str, step: str) -> str:
    return f"{who}, {form}, {precision}: {step}"


@contextmanager
def precision_of(name: str) -> Iterator[None]:
    """TF32 for float32's convolutions and products, or not."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    allowed = name == TF32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


@dataclass
class Stepping:
    """ω, α, their optimisers, and the losses on one pair of batches that stay where they are."""

    problem: BilevelProblem
    network: nn.Module
    omega: dict[str, Tensor]
    alpha: Alpha
    device: str
    clip: float = 5.0

    def __post_init__(self) -> None:
        self.inner = weights_optimizer(self.omega.values(), 0.025, 0.9, on_device=self.device)
        self.outer = alpha_optimizer(
            self.alpha.values(), 3e-4, (0.5, 0.999), 1e-3, on_device=self.device
        )

    def weight_step(self, precision: str) -> Case:
        problem = BilevelProblem(self._narrowed(self.problem.inner, precision), self.problem.outer)
        return self._leaving(
            precision,
            lambda: inner_step(problem, self.omega, self.alpha, inner=self.inner, clip=self.clip),
        )

    def alpha_step(self, estimator: Estimator, precision: str, reads: bool = False) -> Case:
        problem = BilevelProblem(self.problem.inner, self._narrowed(self.problem.outer, precision))

        def step() -> Any:
            return outer_step(
                problem,
                self.omega,
                self.alpha,
                estimator=estimator,
                outer=self.outer,
                inner=self.inner,
            ).outer_loss

        return self._leaving(precision, step, reads)

    def search_step(self, estimator: Estimator, precision: str) -> Case:
        alpha, weights = self.alpha_step(estimator, precision), self.weight_step(precision)

        def both() -> None:
            alpha()
            weights()

        return both

    def _narrowed(self, loss: Loss, precision: str) -> Loss:
        return lambda omega, alpha: self._autocast(precision, lambda: loss(omega, alpha))

    def _autocast(self, precision: str, loss: Callable[[], Tensor]) -> Tensor:
        kind = torch.device(self.device).type
        with torch.autocast(kind, torch.bfloat16) if precision == BF16 else nullcontext():
            return loss()

    def _leaving(self, precision: str, step: Callable[[], Any], reads: bool = False) -> Case:
        """The step in a precision, without reads of its own."""

        def run() -> Any:
            with precision_of(precision), nullcontext() if reads else left_on_device():
                return step()

        return run


def on_device(setting: Setting, device: str, seed: int) -> tuple[Tensor, Tensor]:
    images, labels = setting.data(seed)
    return images.to(device), labels.to(device)


def ours(
    setting: Setting, device: str, layout: torch.memory_format = torch.channels_last
) -> Stepping:
    """The project's supernet, as `darts.training.searching` lays it out."""
    supernet, architecture = setting.ours()
    supernet.layout = layout
    supernet.to(device)
    if torch.device(device).type == "cuda":
        supernet.to(memory_format=layout)
    adapter = SupernetAdapter(supernet, architecture, weight_decay=3e-4)
    problem = adapter.problem(on_device(setting, device, 1), on_device(setting, device, 2), None)
    return Stepping(problem, supernet, adapter.omega, _alpha(architecture, device), device)


class Original(Stepping):
    """The steps of first order as the original takes them: backward, clip, step, on the module."""

    train: Callable[[], Tensor]
    val: Callable[[], Tensor]

    def weight_step(self, precision: str) -> Case:
        weights = list(self.omega.values())

        def step() -> None:
            self._autocast(precision, self.train).backward(inputs=weights)
            torch.nn.utils.clip_grad_norm_(weights, self.clip)
            self.inner.step()
            self.inner.zero_grad()

        return self._leaving(precision, step)

    def alpha_step(self, estimator: Estimator, precision: str, reads: bool = False) -> Case:
        if not isinstance(estimator, FirstOrder):
            return super().alpha_step(estimator, precision, reads)

        def step() -> None:
            self._autocast(precision, self.val).backward(inputs=list(self.alpha.values()))
            self.outer.step()
            self.outer.zero_grad()

        return self._leaving(precision, step)


def reference(setting: Setting, device: str) -> Stepping:
    """The original structure, NCHW: every operation by itself, all outputs stacked.

    Running statistics are updated in place at each evaluation, as in the original.
    """
    architecture = Architecture(setting.space)
    module = setting.plain().to(device)
    train, val = on_device(setting, device, 1), on_device(setting, device, 2)
    alpha = _alpha(architecture, device)
    omega: dict[str, Tensor] = dict(module.named_parameters())

    def loss(data: tuple[Tensor, Tensor]) -> Loss:
        images, labels = data

        def evaluate(omega: Any, alpha: Any) -> Tensor:
            given = images, architecture.mixing_weights(alpha)
            return F.cross_entropy(torch.func.functional_call(module, omega, given).float(), labels)

        return evaluate

    def direct(data: tuple[Tensor, Tensor]) -> Callable[[], Tensor]:
        images, labels = data
        return lambda: F.cross_entropy(
            module(images, architecture.mixing_weights(alpha)).float(), labels
        )

    made = Original(BilevelProblem(loss(train), loss(val)), module, omega, alpha, device)
    made.train, made.val = direct(train), direct(val)
    return made


def _alpha(architecture: Architecture, device: str) -> Alpha:
    return {
        name: part.requires_grad_() for name, part in architecture.initial(0, device=device).items()
    }
