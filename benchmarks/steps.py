"""Steps of a supernet to be timed: the project's, those of PyTorch alone, the reference's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

import torch
from torch import nn
from torch.nn import functional as F

from bilevel import Autograd, BilevelProblem, CentralDifference, Vector
from bilevel.derivatives import ReverseOverForward
from bilevel.estimators import Amended, Certified, ConjugateGradient, DartsSecondOrder, Estimator
from darts.kernels import functions
from darts.kernels.library import Kernels
from darts.networks import Architecture, Supernet
from darts.networks.adapter import SupernetAdapter
from darts.spaces import NASBENCH201, S1, Space
from tests.reference_supernet import BenchSupernet, ReferenceSupernet

UNIT = "weight step"
FIRST = "first-order α step"
EXACT = "amended, exact"
DIFFERENCES = "amended, differences"
SECOND = "DARTS second order, differences"
CERTIFIED = "certified"
PLAIN = "PyTorch alone: weight step"
REFERENCE = "reference: weight step"
REFERENCE_FIRST = "reference: first-order α step"
REFERENCE_SECOND = "reference: DARTS second order"
Case = Callable[[], Any]
Batch = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Setting:
    """A supernet and its batch; `recomputed` is how many cells, from the first on, keep nothing."""

    batch: int
    space: Space = S1
    channels: int = 16
    cells: int = 8
    recomputed: int = 0
    side: int = 32

    def data(self, seed: int) -> Batch:
        generator = torch.Generator().manual_seed(seed)
        images = torch.randn(self.batch, 3, self.side, self.side, generator=generator)
        return images, torch.randint(0, 10, (self.batch,), generator=generator)

    def ours(self) -> tuple[Supernet, Architecture]:
        torch.manual_seed(0)
        supernet = Supernet(self.space, channels=self.channels, cells=self.cells)
        supernet.recompute = self.recomputed > 0
        supernet.recomputed = range(self.recomputed)
        return supernet, Architecture(self.space)

    def plain(self) -> nn.Module:
        """The reference's supernet of the space."""
        torch.manual_seed(0)
        if self.space == NASBENCH201:
            return BenchSupernet(channels=self.channels, each=self.cells // 3)
        places = self.space.macro_architecture.places(self.cells)
        return ReferenceSupernet(
            self.space.edges,
            {kind: self.space.choices(kind) for kind in self.space.cell_kinds},
            kinds=[place.kind for place in places],
            channels=self.channels,
            cells=self.cells,
        )


def ours(setting: Setting) -> dict[str, Case]:
    """Every kind of step of the project's supernet."""
    supernet, architecture = setting.ours()
    alpha = architecture.initial(0)
    adapter = SupernetAdapter(supernet, architecture, weight_decay=3e-4)
    problem = adapter.problem(setting.data(1), setting.data(2), seed=0)
    omega = adapter.omega
    at, hyper = Vector.of(omega).detach(), Vector.of(alpha).detach()
    mixing = architecture.mixing_weights(alpha)
    exact, difference = ReverseOverForward(), CentralDifference(0.1)

    def estimate(estimator: Estimator) -> Case:
        return lambda: estimator(problem, omega, alpha)

    def forward() -> Any:
        with torch.no_grad():
            return supernet(setting.data(1)[0], mixing)

    def weight_step() -> Any:
        return problem.inner_gradient(at, hyper)

    def in_torch() -> Any:
        with without_kernels():
            return weight_step()

    return {
        "forward": forward,
        UNIT: weight_step,
        PLAIN: in_torch,
        FIRST: lambda: problem.outer_gradient_alpha(at, hyper),
        SECOND: estimate(DartsSecondOrder(xi=0.025, derivatives=CentralDifference(0.01))),
        EXACT: estimate(Amended(0.1, derivatives=exact)),
        "amended, Autograd": estimate(Amended(0.1, derivatives=Autograd())),
        DIFFERENCES: estimate(Amended(0.1, derivatives=difference)),
        "CG-5": estimate(ConjugateGradient(5, tolerance=None, damping=1.0, derivatives=exact)),
        CERTIFIED: estimate(Certified(cosine=0.5, products=6, derivatives=exact)),
    }


@contextmanager
def without_kernels() -> Iterator[None]:
    """What DARTS_KERNELS=off does, for a while."""
    none = Kernels(None, "switched off")
    with mock.patch.object(functions, "kernels", return_value=none):
        yield


def reference(setting: Setting) -> dict[str, Case]:
    """The steps of the original design: contiguous NCHW, everything stacked, differences."""
    architecture = Architecture(setting.space)
    alpha = architecture.initial(0)
    module = setting.plain()
    train, val = setting.data(1), setting.data(2)

    def loss(data: Batch) -> Any:
        return lambda net, a: F.cross_entropy(net(data[0], architecture.mixing_weights(a)), data[1])

    problem, omega, _ = BilevelProblem.from_module(
        module, loss(train), loss(val), hyperparams=alpha
    )
    at, hyper = Vector.of(omega).detach(), Vector.of(alpha).detach()
    second = DartsSecondOrder(xi=0.025, derivatives=CentralDifference(0.01))
    return {
        REFERENCE: lambda: problem.inner_gradient(at, hyper),
        REFERENCE_FIRST: lambda: problem.outer_gradient_alpha(at, hyper),
        REFERENCE_SECOND: lambda: second(problem, omega, alpha),
    }


def timed(
    cases: dict[str, Case], repetitions: int, warm: tuple[str, ...]
) -> dict[str, list[float]]:
    """CPU seconds of every case, in turns, after a call of those in `warm` that counts not."""
    for name in warm:
        cases[name]()
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(repetitions):
        for name, case in cases.items():
            began = time.process_time()
            result = case()
            seconds[name].append(time.process_time() - began)
            del result
    return seconds


def with_operations(count: int) -> Space:
    """S1's edges with one, two or four convolutions, which cost the same on average.

    Multiply-adds a channel and pixel at 16 channels: 50 one, 91 two, 198 four.
    """
    names = {
        1: ("sep_conv_3x3",),
        2: ("sep_conv_3x3", "dil_conv_5x5"),
        4: ("sep_conv_3x3", "dil_conv_5x5", "sep_conv_5x5", "dil_conv_3x3"),
    }
    return replace(S1, name=f"s1:operations={count}", operations=names[count])
