"""Fifty problems with nothing wrong in them: what `bilevel.check` must pass without an alarm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint

from bilevel import BilevelProblem
from bilevel.problems import (
    distillation,
    hyper_cleaning,
    logistic_regression,
    loss_weights,
    mixture,
    quadratic,
    ridge_regression,
)
from darts.networks import Architecture, Supernet, SupernetAdapter
from darts.spaces import S1, S1_FIXED
from darts.spaces.nasbench201 import NASBENCH201

Point = tuple[BilevelProblem, Any, Any]
f32, f64 = torch.float32, torch.float64


def with_decay(
    net: nn.Module, data: Tensor, dtype: torch.dtype, call: Callable[[Any, Tensor], Tensor]
) -> Point:
    """A network that fits random targets; α is the logarithm of its weight decay."""
    data = data.to(dtype) if data.is_floating_point() else data
    net = net.to(dtype)
    with torch.no_grad():
        targets = torch.randn_like(call(net, data))

    def outer(n: Any, a: Tensor) -> Tensor:
        return (call(n, data) - targets).square().mean()

    def inner(n: Any, a: Tensor) -> Tensor:
        return outer(n, a) + 0.01 * a.exp() * sum(p.square().sum() for p in n.params.values())

    return BilevelProblem.from_module(net, inner, outer, hyperparams=torch.zeros((), dtype=dtype))


def _first(n: Any, x: Tensor) -> Tensor:
    output: Tensor = n(x)[0]
    return output


def _by_maths(n: Any, x: Tensor) -> Tensor:
    with sdpa_kernel(SDPBackend.MATH):
        output: Tensor = n(x)
    return output


def _whole(n: Any, x: Tensor) -> Tensor:
    output: Tensor = n(x)
    return output


def _checkpointed(n: Any, x: Tensor) -> Tensor:
    output: Tensor = checkpoint(n, x, use_reentrant=False)
    return output


def _in_bfloat16(n: Any, x: Tensor) -> Tensor:
    output: Tensor = n(x)
    return output.to(torch.bfloat16)


def _by_autocast(n: Any, x: Tensor) -> Tensor:
    with torch.autocast(x.device.type, torch.bfloat16):
        output: Tensor = n(x)
    return output


def _mlp(activation: type[nn.Module]) -> nn.Module:
    return nn.Sequential(
        nn.Linear(4, 16), activation(), nn.Linear(16, 16), activation(), nn.Linear(16, 1)
    )


def _convolutions(norm: Callable[[int], nn.Module]) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), norm(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 2)
    )


def _transformer(activation: str) -> nn.Module:
    layer = nn.TransformerEncoderLayer(
        4, 2, 8, dropout=0.0, activation=activation, batch_first=True
    )
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


def _networks() -> dict[str, Callable[[], Point]]:
    rows, series, images = torch.randn(8, 4), torch.randn(3, 5, 4), torch.randn(4, 2, 8, 8)
    words = torch.randint(9, (3, 5))
    found: dict[str, tuple[Callable[[], nn.Module], Tensor, Callable[[Any, Tensor], Tensor]]] = {
        f"mlp, {each.__name__}": ((lambda each=each: _mlp(each)), rows, _whole)
        for each in (nn.Tanh, nn.ReLU, nn.GELU, nn.ELU, nn.Softplus, nn.LeakyReLU)
    }
    found |= {
        "lstm": (lambda: nn.LSTM(4, 6, batch_first=True), series, _first),
        "gru": (lambda: nn.GRU(4, 6, batch_first=True), series, _first),
        "recurrent": (lambda: nn.RNN(4, 6, batch_first=True), series, _first),
        "transformer, gelu": (lambda: _transformer("gelu"), series, _by_maths),
        "transformer, relu": (lambda: _transformer("relu"), series, _by_maths),
        "batch norm": (lambda: _convolutions(nn.BatchNorm2d), images, _whole),
        "group norm": (lambda: _convolutions(lambda c: nn.GroupNorm(2, c)), images, _whole),
        "instance norm": (lambda: _convolutions(nn.InstanceNorm2d), images, _whole),
        "layer norm": (
            lambda: nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.ReLU(), nn.Linear(6, 1)),
            rows,
            _whole,
        ),
        "spectral norm": (
            lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(4, 3)).eval(),
            rows,
            _whole,
        ),
        "embedding": (
            lambda: nn.Sequential(nn.Embedding(9, 4), nn.Tanh(), nn.Linear(4, 1)),
            words,
            _whole,
        ),
        "embedding with padding": (
            lambda: nn.Sequential(nn.Embedding(9, 4, padding_idx=0), nn.Tanh(), nn.Linear(4, 1)),
            words,
            _whole,
        ),
        "checkpointed": (lambda: _mlp(nn.Tanh), rows, _checkpointed),
        "values in bfloat16": (lambda: _mlp(nn.Tanh), rows, _in_bfloat16),
        "autocast": (lambda: _mlp(nn.Tanh), rows, _by_autocast),
    }
    return {
        f"{name}, {str(dtype)[6:]}": (
            lambda row=row, dtype=dtype: with_decay(row[0](), row[1], dtype, row[2])
        )
        for name, row in found.items()
        for dtype in (f64, f32)
    }


def _supernet(space: Any, dtype: torch.dtype) -> Point:
    supernet = Supernet(space, channels=2, cells=3, classes=3).to(dtype)
    adapter = SupernetAdapter(supernet, Architecture(space), 3e-4)
    alpha = Architecture(space).initial(1, scale=0.5, dtype=dtype)
    train, val = ((torch.randn(6, 3, 8, 8, dtype=dtype), torch.randint(3, (6,))) for _ in range(2))
    return adapter.problem(train, val, seed=0), adapter.omega, alpha


def _cross_entropy() -> Point:
    x, labels = torch.randn(9, 4, dtype=f64), torch.randint(3, (9,))

    def loss(w: Tensor, a: Tensor) -> Tensor:
        return F.cross_entropy(x @ w, labels) + (a.exp() * w.square().sum(0)).sum()

    return BilevelProblem(loss, loss), torch.randn(4, 3, dtype=f64), torch.zeros(3, dtype=f64)


def _gaussian_process() -> Point:
    x, y = torch.randn(12, 3, dtype=f64), torch.randn(12, dtype=f64)

    def inner(w: dict[str, Tensor], a: Tensor) -> Tensor:
        apart = ((x[:, None] - x) / w["length"].exp()).square().sum(-1)
        gram = (-apart / 2).exp() + w["noise"].exp() * torch.eye(12, dtype=f64)
        fit = torch.linalg.slogdet(gram)[1] + y @ torch.linalg.solve(gram, y)
        return fit + a.exp() * (w["length"].square().sum() + w["noise"].square())

    omega = {"length": torch.zeros(3, dtype=f64), "noise": torch.zeros((), dtype=f64)}
    return (
        BilevelProblem(inner, lambda w, a: w["length"].sum().sin()),
        omega,
        torch.zeros((), dtype=f64),
    )


def _dropped() -> Point:
    net = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Dropout(0.3), nn.Linear(16, 1))
    problem, omega, alpha = with_decay(net, torch.randn(8, 4), f64, _whole)
    return problem.replaying(0), omega, alpha


def _physics_informed(outside: bool) -> Point:
    """A loss that takes a derivative of the network itself, in points that it makes or is given."""
    points = torch.rand(9, 1, dtype=f64, requires_grad=outside)

    def inner(w: dict[str, Tensor], a: Tensor) -> Tensor:
        x = points if outside else points.clone().requires_grad_()
        y = torch.tanh(x @ w["first"] + w["shift"]) @ w["last"]
        (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        return (slope[:, 0] + a * y).square().mean() + 0.1 * w["last"].square().sum()

    omega = {"first": torch.randn(1, 6), "shift": torch.randn(6), "last": torch.randn(6)}
    omega = {name: leaf.to(f64) for name, leaf in omega.items()}
    return BilevelProblem(inner, inner), omega, torch.ones((), dtype=f64)


def _sharpness_aware() -> Point:
    """A loss that takes a gradient in ω itself, and is evaluated with ω as a constant too."""
    x, y = torch.randn(9, 4, dtype=f64), torch.randn(9, dtype=f64)

    def fit(w: Tensor, a: Tensor) -> Tensor:
        return (x @ w - y).square().mean() + (a.exp() * w.square()).sum()

    def loss(w: Tensor, a: Tensor) -> Tensor:
        (slope,) = torch.autograd.grad(fit(w, a), w, create_graph=True)
        return fit(w + 0.05 * slope / slope.norm(), a)

    return BilevelProblem(loss, loss), torch.randn(4, dtype=f64), torch.zeros(4, dtype=f64)


def _at_an_edge(used: Callable[[Tensor], Tensor]) -> Point:
    """α begins where it has one derivative on one side, and another, or none, on the other."""
    x, y = torch.randn(9, 4, dtype=f64), torch.randn(9, dtype=f64)

    def inner(w: Tensor, a: Tensor) -> Tensor:
        return (x @ w - y).square().mean() + ((0.1 + used(a)) * w.square()).sum()

    def outer(w: Tensor, a: Tensor) -> Tensor:
        return (x @ w + y).square().mean()

    omega, alpha = torch.randn(4, dtype=f64), torch.tensor([0.0, 1.0, 0.0, 1.0], dtype=f64)
    return BilevelProblem(inner, outer), omega, alpha


def zero_branch(part: Callable[[Tensor], Tensor] = lambda h: h) -> Point:
    """L_val of a network whose residual branch begins at 0, so that ReLUs stand at their kinks.

    Args:
        part: applied to the other branch.
    """
    x, y = torch.randn(9, 4, dtype=f64), torch.randn(9, dtype=f64)

    def outer(w: dict[str, Tensor], a: Tensor) -> Tensor:
        h = torch.tanh(x @ w["first"])
        return ((torch.relu(h * w["gain"]) + part(h)) @ w["last"] - y).square().mean()

    def inner(w: dict[str, Tensor], a: Tensor) -> Tensor:
        fit = (torch.tanh(x @ w["first"]) * (1 + w["gain"]) @ w["last"] + y).square().mean()
        return fit + a.exp() * sum(leaf.square().sum() for leaf in w.values())

    omega = {"first": torch.randn(4, 6), "gain": torch.zeros(6), "last": torch.randn(6)}
    omega = {name: leaf.to(f64) for name, leaf in omega.items()}
    return BilevelProblem(inner, outer), omega, torch.zeros((), dtype=f64)


READY: dict[str, Callable[[], Point]] = {
    "quadratic": lambda: quadratic().point,
    "indefinite quadratic": lambda: quadratic(negative=2).point,
    "quadratic in float32": lambda: quadratic(dtype=f32).point,
    "ridge": lambda: ridge_regression().point,
    "ridge at its solution": lambda: ridge_regression().at_inner_solution().point,
    "logistic": lambda: logistic_regression(train=200, val=100).point,
    "cleaning": lambda: hyper_cleaning(train=100, val=100).point,
    "cleaning, network": lambda: hyper_cleaning(train=100, val=100, hidden=8).point,
    "mixture": lambda: mixture(train=100, val=100).point,
    "loss weights": lambda: loss_weights(train=60, val=40).point,
    "distillation": lambda: distillation(train=100).point,
}
OWN: dict[str, Callable[[], Point]] = {
    "cross entropy": _cross_entropy,
    "Gaussian process": _gaussian_process,
    "dropout, replayed": _dropped,
    "sharpness-aware": _sharpness_aware,
    "α at the edge of a clamp": lambda: _at_an_edge(lambda a: a.clamp(0, 1)),
    "α at the edge of where L_train is defined": lambda: _at_an_edge(lambda a: a.pow(1.5)),
    "a residual branch that begins at 0": zero_branch,
    "physics-informed": lambda: _physics_informed(False),
    "physics-informed, points from outside": lambda: _physics_informed(True),
}
SUPERNETS: dict[str, Callable[[], Point]] = {
    f"{space.name}, {str(dtype)[6:]}": (lambda space=space, dtype=dtype: _supernet(space, dtype))
    for space in (S1_FIXED, S1, NASBENCH201)
    for dtype in (f64, f32)
}


def sound_problem(name: str) -> Point:
    """The problem of that name, the same each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return SOUND[name]()


def _all() -> dict[str, Callable[[], Point]]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return READY | OWN | _networks() | SUPERNETS


SOUND = _all()
