"""Hessian and mixed products of networks of 10⁷ to 10⁸ parameters, in units of a gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torchvision.models import resnet50

from benchmarks.card.timing import Cases, Clock, ratios, spreads
from bilevel import Autograd, BilevelProblem, CentralDifference, Vector
from bilevel.derivatives import Derivatives

GRADIENT = "a gradient"


@dataclass(frozen=True)
class Size:
    """A network and its batch: images of a side, or texts of a length."""

    batch: int
    side: int
    width: int = 768
    layers: int = 12


SIZES = {"transformer": Size(8, 256), "ResNet-50": Size(32, 224)}
TINY = {"transformer": Size(2, 8, 16, 2), "ResNet-50": Size(2, 32)}


class Texts(nn.Module):
    """A transformer that reads tokens and names one of 10 classes."""

    def __init__(self, size: Size, words: int = 1000) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            size.width, max(1, size.width // 64), 4 * size.width, 0.0, batch_first=True
        )
        self.words = nn.Embedding(words, size.width)
        self.layers = nn.TransformerEncoder(layer, size.layers, enable_nested_tensor=False)
        self.classes = nn.Linear(size.width, 10)

    def forward(self, tokens: Tensor) -> Tensor:
        # fused attention has no second derivative
        with sdpa_kernel(SDPBackend.MATH):
            read: Tensor = self.classes(self.layers(self.words(tokens)).mean(dim=1))
        return read


def problem(name: str, size: Size, device: str) -> tuple[BilevelProblem, Vector, Vector]:
    """Cross-entropy weighted by a factor exp(α) a sample, with weight decay."""
    torch.manual_seed(0)
    if name == "transformer":
        network: nn.Module = Texts(size)
        given = torch.randint(0, 1000, (size.batch, size.side))
    else:
        network = resnet50(num_classes=10)
        given = torch.randn(size.batch, 3, size.side, size.side)
    network.to(device)
    inputs, labels = given.to(device), torch.randint(0, 10, (size.batch,)).to(device)

    def loss(net: Any, alpha: Tensor) -> Tensor:
        each = F.cross_entropy(net(inputs), labels, reduction="none")
        decay = sum(p.square().sum() for p in net.params.values())
        return (alpha.exp() * each).mean() + 1e-4 * decay

    made, omega, alpha = BilevelProblem.from_module(
        network, loss, loss, hyperparams=torch.zeros(size.batch, device=device)
    )
    return made, Vector.of(omega).detach(), Vector.of(alpha).detach()


def products(
    name: str,
    size: Size,
    device: str,
    clock: Clock,
    keep: Callable[[dict[str, Any]], None],
    rounds: int,
) -> None:
    """Time Hv and Bv, each with what its derivatives need before, beside a gradient."""
    cases = Cases(device)
    made, omega, alpha = problem(name, size, device)
    v = Vector(tuple(torch.randn_like(leaf) for leaf in omega.leaves), omega.treespec)

    def product(way: Derivatives, mixed: bool) -> Callable[[], Any]:
        def take() -> Any:
            curvature = way(made, omega, alpha)
            return (curvature.mixed if mixed else curvature.hessian) @ v

        return take

    cases.add(GRADIENT, lambda: lambda: made.inner_gradient(omega, alpha))
    for kind, way in (("graph", Autograd()), ("differences", CentralDifference())):
        for what, mixed in (("Hv", False), ("Bv", True)):
            cases.add(f"{what}, {kind}", partial(product, way, mixed))
    record: dict[str, Any] = {"parameters": omega.numel, "failed": cases.failed}
    record["peak MiB"] = {case: cases.peak_mib(case) for case in list(cases.calls)}
    seconds = cases.rounds(clock, rounds)
    over = [(case, GRADIENT) for case in cases.calls if case != GRADIENT]
    keep({name: record | {"seconds": spreads(seconds), "ratios": ratios(seconds, over)}})
