"""Problems with one planted fault each, and the words by which `bilevel.check` must name it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from bilevel import Autograd, BilevelProblem
from bilevel.derivatives import Curvature, Derivatives, ReverseOverForward
from bilevel.linear import LinearOperator
from bilevel.vector import Vector
from tests.sound_problems import zero_branch

f64 = torch.float64
Loss = Callable[[Any, Any], Tensor]


@dataclass(frozen=True)
class Planted:
    """A problem, its fault, and words that the report must hold.

    Attributes:
        make: the problem with ω and α.
        words: a pattern for the report.
        derivatives: the ones to check.
    """

    make: Callable[[], tuple[BilevelProblem, Any, Any]]
    words: str
    derivatives: Derivatives = field(default=Autograd())


def data(dtype: torch.dtype = f64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return (
        torch.randn(12, 5, generator=generator, dtype=f64).to(dtype),
        torch.randn(12, generator=generator, dtype=f64).to(dtype),
    )


X, Y = data()


def weights(dtype: torch.dtype = f64) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    first = torch.randn(5, 3, generator=generator, dtype=f64) * 0.5
    return {
        "first": first.to(dtype),
        "last": torch.randn(3, generator=generator, dtype=f64).to(dtype),
    }


def fit(w: dict[str, Tensor], x: Tensor = X, y: Tensor = Y) -> Tensor:
    return (torch.tanh(x @ w["first"]) @ w["last"] - y).square()


def inner(w: dict[str, Tensor], a: Tensor) -> Tensor:
    return (fit(w) * a.exp()).mean() + 0.1 * sum(p.square().sum() for p in w.values())


def outer(w: dict[str, Tensor], a: Tensor) -> Tensor:
    return fit(w, X.flip(0)).mean() + 0.1 * a.square().sum()


def case(inner: Loss = inner, outer: Loss = outer, **changes: Any) -> Callable[[], Any]:
    def make() -> tuple[BilevelProblem, Any, Any]:
        return (
            BilevelProblem(inner, outer),
            changes.get("omega", weights()),
            changes.get("alpha", torch.zeros(12, dtype=f64)),
        )

    return make


def module(
    net: nn.Module, call: Callable[[Any], Tensor], dtype: torch.dtype = f64
) -> Callable[[], Any]:
    with torch.random.fork_rng(devices=[]):  # PyTorch's own seed differs between processes
        torch.manual_seed(0)
        for part in net.modules():
            if isinstance(part, nn.Linear | nn.Embedding):
                part.reset_parameters()

    def make() -> tuple[BilevelProblem, Any, Any]:
        def both(n: Any, a: Tensor) -> Tensor:
            decay = sum(p.square().sum() for p in n.params.values())
            return call(n).square().mean() + a.exp() * decay

        return BilevelProblem.from_module(net, both, both, hyperparams=torch.zeros((), dtype=dtype))

    return make


# a network's parameters that ω does not hold


class PlainObject(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(3, 1, dtype=f64)
        self.hidden = SimpleNamespace(layer=nn.Linear(5, 3, dtype=f64))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.hidden.layer(x)))


class Remembering(nn.Module):
    """A penalty that is computed once."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(5, 3, dtype=f64), nn.Linear(3, 1, dtype=f64)
        self.kept: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.first(x)))

    def decay(self) -> Tensor:
        if self.kept is None:
            self.kept = self.first.weight.square().sum()
        return self.kept


def remembering() -> tuple[BilevelProblem, Any, Any]:
    def outer(n: Any, a: Tensor) -> Tensor:
        return (n(X)[:, 0] - Y).square().mean()

    return BilevelProblem.from_module(
        Remembering(),
        lambda n, a: outer(n, a) + a.exp() * n.decay(),
        outer,
        hyperparams=torch.zeros((), dtype=f64),
    )


# backward passes of one's own that are wrong


class TwiceTheSlope(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 2 * slope * x.cos()


class Reversed(torch.autograd.Function):
    """The gradient reversal of domain-adversarial training."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Tensor:
        return -slope


class ConstantSlope(torch.autograd.Function):
    """Right once; the slope that it keeps is a number to the second derivative."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.slope = x.cos()
        return x.sin()

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Tensor:
        return slope * ctx.slope


def scaled(x: Tensor) -> Tensor:
    y = x * 1
    if y.requires_grad:
        y.register_hook(lambda slope: 3 * slope)
    return y


class Once(torch.autograd.Function):
    """PyTorch takes its slope for a constant, without a word."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return slope * x.cos()


class Skewed(Derivatives):
    """Products with H plus a part that is not symmetric, and a transpose of B that is not one."""

    def __init__(self, *, hessian: float = 0.0, transpose: float = 0.0) -> None:
        self.hessian, self.transpose = hessian, transpose

    def __call__(self, problem: BilevelProblem, omega: Vector, alpha: Vector) -> Curvature:
        right = Autograd()(problem, omega, alpha)

        def hessian(v: Vector) -> Vector:
            flat = v.flat()
            return right.hessian @ v + self.hessian * v.like(flat.roll(1))

        def transposed(u: Vector) -> Vector:
            return (1 + self.transpose) * (right.mixed.T @ u)

        return Curvature(
            LinearOperator(omega, omega, hessian, hessian),
            LinearOperator(omega, alpha, right.mixed.action, transposed),
        )


# losses that are not the same twice

own_generator = torch.Generator().manual_seed(0)


def noisy(w: dict[str, Tensor], a: Tensor) -> Tensor:
    rows = torch.randint(12, (6,), generator=own_generator)
    return fit(w)[rows].mean() + (inner(w, a) - fit(w).mean())


class Annealed:
    """A temperature that falls with every call."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, w: dict[str, Tensor], a: Tensor) -> Tensor:
        self.calls += 1
        return inner(w, a) / self.calls


def penalised(w: dict[str, Tensor], a: Tensor) -> Tensor:
    x = X.clone().requires_grad_()
    hidden = F.layer_norm(torch.tanh(x @ w["first"]), (3,))
    (slope,) = torch.autograd.grad((hidden @ w["last"]).sin().sum(), x, create_graph=True)
    return inner(w, a) + slope.square().sum()


def determined(w: dict[str, Tensor], a: Tensor) -> Tensor:
    gram = w["first"] @ w["first"].T + torch.eye(5, dtype=f64)
    return inner(w, a) + torch.logdet(gram)


def curved(w: dict[str, Tensor], a: Tensor) -> Tensor:
    """A second derivative that the loss takes, and that drops tangents of what is not tracked."""

    def bent(first: Tensor) -> Tensor:
        return (X @ first).tanh().sum() * a.exp().sum()

    ones = torch.ones_like(w["first"])
    _, product = torch.autograd.functional.hvp(bent, w["first"], ones, create_graph=True)
    return inner(w, a) + product.square().mean()


def coin(w: dict[str, Tensor], a: Tensor) -> Tensor:
    """A part that is dropped by a coin of the loss's own."""
    kept = torch.rand((), generator=own_generator) < 0.5
    return inner(w, a) + (fit(w).sum() if kept else fit(w).sum() * 0)


def along(w: dict[str, Tensor], a: Tensor) -> Tensor:
    """A derivative that the loss takes by forward mode: its gradient is wrong already."""
    normed = torch.func.jvp(
        lambda x: F.layer_norm(torch.tanh(x @ w["first"]), (3,)), (X,), (X.cos(),)
    )[1]
    return inner(w, a) + normed.square().sum()


def clamped(w: dict[str, Tensor], a: Tensor) -> Tensor:
    with torch.no_grad():
        a.clamp_(-1, -0.1)
    return inner(w, a)


def beside(w: dict[str, Tensor], a: Tensor) -> Tensor:
    return inner(w, a) + bound.exp().sum() * w["last"].square().sum()


def partly(seen: Callable[[Tensor], Tensor]) -> Loss:
    """An inner loss that takes its last weight from α in another way than the rest."""
    return lambda w, a: (
        (fit(w) * torch.cat([a[:-1], seen(a)[-1:]]).exp()).mean()
        + 0.1 * sum(p.square().sum() for p in w.values())
    )


def unseen(a: Tensor) -> Tensor:
    with torch.no_grad():
        return a + 0.0


trained = torch.zeros(12, dtype=f64, requires_grad=True)
bound = torch.zeros(12, dtype=f64)

PLANTED: dict[str, Planted] = {
    "dropout": Planted(
        case(lambda w, a: inner({**w, "last": F.dropout(w["last"], 0.4)}, a)),
        r"L_train: it draws random numbers;.*replaying\(seed\)",
    ),
    "dropout in L_val": Planted(
        case(outer=lambda w, a: outer({**w, "last": F.dropout(w["last"], 0.4)}, a)),
        r"L_val: it draws random numbers",
    ),
    "a batch drawn by a generator of its own": Planted(
        case(noisy), r"two evaluations at one point differ.*generator of its own"
    ),
    "a state that changes with every call": Planted(
        case(Annealed()), "something changes between them"
    ),
    "weight norm": Planted(
        module(
            nn.Sequential(
                nn.utils.parametrizations.weight_norm(nn.Linear(5, 4, dtype=f64)), nn.Tanh()
            ),
            lambda n: n(X),
        ),
        "weight_norm",
    ),
    "layer norm in a gradient penalty": Planted(
        case(penalised), "layer_norm inside a gradient.*means and squares"
    ),
    "logdet in forward mode": Planted(
        case(determined), r"logdet.*Autograd\(\)", ReverseOverForward()
    ),
    "cross-entropy in forward mode": Planted(
        case(lambda w, a: inner(w, a) + F.cross_entropy(X @ w["first"], torch.arange(12) % 3)),
        r"cross_entropy.*Autograd\(\)",
        ReverseOverForward(),
    ),
    "fused attention": Planted(
        module(
            nn.TransformerEncoderLayer(5, 1, 4, dropout=0.0, batch_first=True, dtype=f64),
            lambda n: n(X[None]),
        ),
        r"sdpa_kernel\(SDPBackend\.MATH\)",
    ),
    "a sparse embedding": Planted(
        module(nn.Embedding(7, 3, sparse=True, dtype=f64), lambda n: n(torch.arange(7))),
        "sparse=False",
    ),
    "reentrant checkpointing": Planted(
        case(
            lambda w, a: (
                inner(w, a)
                + checkpoint(lambda p: (X @ p).sin().sum(), w["first"], use_reentrant=True)
            )
        ),
        "use_reentrant=False",
    ),
    "a backward that is wrong once": Planted(
        case(lambda w, a: inner(w, a) + TwiceTheSlope.apply(X @ w["first"]).sum()),
        "not the derivative of its values.*custom backward",
    ),
    "a gradient reversal": Planted(
        case(lambda w, a: inner(w, a) + Reversed.apply(X @ w["first"]).sin().sum()),
        "not the derivative of its values.*gradient reversal",
    ),
    "a hook that scales a gradient": Planted(
        case(lambda w, a: inner({**w, "first": scaled(w["first"])}, a)),
        "a hook in a loss changes a gradient",
    ),
    "a backward that is right once and wrong twice": Planted(
        case(lambda w, a: inner(w, a) + ConstantSlope.apply(X @ w["first"]).square().sum()),
        r"products with H.*most in leaf \['first'\].*custom function ConstantSlope",
    ),
    "the same behind kinks, in float32": Planted(
        module(
            nn.Sequential(nn.Linear(5, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU()),
            lambda n: ConstantSlope.apply(n(X.float())),
            torch.float32,
        ),
        "products with H.*custom function ConstantSlope",
    ),
    "detach on the way": Planted(
        case(lambda w, a: inner({**w, "first": (w["first"] + w["first"].detach()) / 2}, a)),
        r"not the derivative of its values.*detach\(\)",
    ),
    "detach on the way, and values in float16": Planted(
        case(lambda w, a: inner({**w, "first": (w["first"] + w["first"].detach()) / 2}, a).half()),
        r"L_train: ∇_ω L_train is not the derivative of its values.*detach\(\)",
    ),
    "detach in L_val": Planted(
        case(outer=lambda w, a: outer({**w, "first": (w["first"] + w["first"].detach()) / 2}, a)),
        "L_val: ∇_ω L_val is not the derivative of its values",
    ),
    "detach in L_val, where ReLUs stand at their kinks": Planted(
        lambda: zero_branch(lambda h: (h + h.detach()) / 2),
        "L_val: ∇_ω L_val is not the derivative of its values",
    ),
    "one coordinate of α as a number": Planted(
        case(partly(lambda a: torch.full((1,), a[-1].item(), dtype=a.dtype))),
        r"L_train: ∇_α L_train is not the derivative.*in <root>:.*item\(\)",
    ),
    "one coordinate of α detached": Planted(
        case(partly(Tensor.detach)), "L_train: ∇_α L_train is not the derivative of its values"
    ),
    "one coordinate of α within no_grad": Planted(
        case(partly(unseen)), "L_train: ∇_α L_train is not the derivative of its values"
    ),
    "one of two leaves of α detached, used by L_val": Planted(
        case(
            lambda w, a: inner(w, a["seen"]) * a["not"].detach().exp(),
            lambda w, a: outer(w, a["seen"]) + 0.1 * a["not"].square(),
            alpha={"not": torch.ones((), dtype=f64), "seen": torch.zeros(12, dtype=f64)},
        ),
        r"L_train: ∇_α L_train is not the derivative of its values, in \['not'\]:",
    ),
    "α from the closure, trainable": Planted(
        case(lambda w, a: inner(w, trained), lambda w, a: outer(w, trained), alpha=trained),
        "α<root>: a loss takes it from the closure",
    ),
    "α from the closure": Planted(
        case(lambda w, a: inner(w, bound), lambda w, a: outer(w, bound), alpha=bound),
        "α<root>: no loss uses it",
    ),
    "α from the closure beside the argument": Planted(
        case(beside, alpha=bound), "α<root>: a loss reads it from the enclosing scope too"
    ),
    "a coin of the loss's own": Planted(case(coin), "two evaluations at one point differ"),
    "NumPy's random numbers": Planted(
        case(lambda w, a: inner(w, a) * (1 + np.random.rand())),
        r"L_train: it draws random numbers;.*replaying\(seed\)",
    ),
    "a derivative by forward mode inside": Planted(case(along), "by forward mode"),
    "torch.autograd.functional under forward mode": Planted(
        case(curved),
        r"torch\.autograd\.functional inside a loss, which drops tangents",
        ReverseOverForward(),
    ),
    "α clamped in place": Planted(case(clamped), r"the leaf <root> of α in place"),
    "an embedding with max_norm": Planted(
        module(nn.Embedding(7, 3, max_norm=0.5, dtype=f64), lambda n: n(torch.arange(7))),
        r"the leaf \['weight'\] of ω in place",
    ),
    "a row of padding that a tied output layer trains": Planted(
        module(
            nn.Embedding(3, 2, padding_idx=1, dtype=f64),
            lambda n: n(torch.arange(7) % 3).tanh() @ n.weight.T,
        ),
        r"ω\['weight'\]: its row 1 is the padding.*another use of it.*without padding_idx",
    ),
    "an embedding with scale_grad_by_freq": Planted(
        module(
            nn.Embedding(3, 3, scale_grad_by_freq=True, dtype=f64),
            lambda n: n(torch.arange(7) % 3),
        ),
        "scale_grad_by_freq=True",
    ),
    "spectral norm in training mode": Planted(
        module(
            nn.Sequential(
                nn.utils.parametrizations.spectral_norm(nn.Linear(5, 4, dtype=f64)), nn.Tanh()
            ),
            lambda n: n(X),
        ),
        r"spectral_norm in training mode.*\.eval\(\)",
    ),
    "a function marked once_differentiable": Planted(
        case(lambda w, a: inner(w, a) + Once.apply(X @ w["first"]).square().sum()),
        "Once is marked once_differentiable",
    ),
    "a second derivative that is NaN": Planted(
        case(lambda w, a: inner(w, a) + (w["last"] - weights()["last"]).norm()),
        "products with H by Autograd\\(\\) are NaN or infinite",
    ),
    "a gradient in α that is NaN": Planted(
        case(outer=lambda w, a: outer(w, a) + a.norm().sqrt()),
        "∇_α L_val is NaN or infinite",
    ),
    "no number in α": Planted(case(alpha=torch.zeros(0, dtype=f64)), "no numbers at all"),
    "a leaf of ω that L_train ignores": Planted(
        case(
            omega={**weights(), "spare": torch.ones(2, dtype=f64)},
            inner=lambda w, a: inner({k: p for k, p in w.items() if k != "spare"}, a),
        ),
        r"ω\['spare'\]: L_train ignores it",
    ),
    "L_val without ω": Planted(
        case(outer=lambda w, a: outer({k: p.detach() for k, p in w.items()}, a)),
        "L_val: it does not depend on ω",
    ),
    "parameters in a plain object": Planted(
        module(PlainObject(), lambda n: n(X)), r"shape \(3, 5\).*plain list"
    ),
    "a penalty that is remembered": Planted(
        remembering, "L_train: it keeps a tensor from an earlier evaluation.*afresh"
    ),
    "H that is not symmetric": Planted(
        case(), "products with H.*off.*the derivatives themselves", Skewed(hessian=0.1)
    ),
    "a transpose that is none": Planted(
        case(), "Bᵀ is not the transpose of B", Skewed(transpose=0.01)
    ),
    "complex weights": Planted(case(omega=torch.ones(3, dtype=torch.complex128)), "complex128"),
    "half precision": Planted(
        case(omega=weights(torch.bfloat16), alpha=torch.zeros(12, dtype=torch.bfloat16)),
        "bfloat16 has too few digits",
    ),
    "NaN in ω": Planted(
        case(omega={**weights(), "last": torch.full((3,), float("nan"), dtype=f64)}),
        r"ω\['last'\]: it holds NaN",
    ),
    "two precisions": Planted(case(alpha=torch.zeros(12)), "Bring both to one dtype"),
}
