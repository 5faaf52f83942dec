"""Hooks may look at the gradients of a loss; those that change them are refused or warned of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_full_backward_hook
from torch.utils.hooks import RemovableHandle

from bilevel import Autograd, BilevelProblem, CentralDifference, ReverseOverForward, check
from bilevel.estimators import Amended, ChangedGradient, Exact, Penalty, Unrolled
from bilevel.unsupported import UnsupportedDerivativeError
from tests.dense import dense

f64 = torch.float64
X = torch.randn(8, 4, dtype=f64, generator=torch.Generator().manual_seed(1))
ETA = 0.1
pytestmark = pytest.mark.filterwarnings("ignore:Full backward hook is firing")
Hooked = Callable[["Net"], None]


class Net(nn.Module):
    """A network whose hidden activations pass through a function."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(4, 5, dtype=f64), nn.Linear(5, 1, dtype=f64)
        self.seen: Callable[[Tensor], None] = lambda hidden: None

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.tanh(self.first(x))
        self.seen(hidden)
        return self.last(hidden)


def problem(hooked: Hooked) -> tuple[BilevelProblem, Any, Any]:
    net = Net()
    hooked(net)

    def outer(n: Any, a: Tensor) -> Tensor:
        return (n(X) - 1).square().mean()

    def inner(n: Any, a: Tensor) -> Tensor:
        return outer(n, a) + a.exp() * sum(p.square().sum() for p in n.params.values())

    return BilevelProblem.from_module(net, inner, outer, hyperparams=torch.tensor(-1.0, dtype=f64))


def on_tensor(hook: Callable[[Tensor], Any]) -> Hooked:
    def hooked(net: Net) -> None:
        net.seen = lambda hidden: hidden.register_hook(hook) if hidden.requires_grad else None

    return hooked


def on_node(before: bool, hook: Callable[..., Any]) -> Hooked:
    def seen(hidden: Tensor) -> None:
        if hidden.grad_fn is not None:
            node: Any = hidden.grad_fn
            (node.register_prehook if before else node.register_hook)(hook)

    return lambda net: setattr(net, "seen", seen)


def doubled(gradients: Any) -> tuple[Any, ...]:
    return tuple(None if one is None else 2 * one for one in gradients)


CHANGING: dict[str, Hooked] = {
    "of a tensor": on_tensor(lambda gradient: 3 * gradient),
    "of a tensor, a clamp": on_tensor(lambda gradient: gradient.clamp(-1e-3, 1e-3)),
    "of an operation": on_node(False, lambda inputs, outputs: doubled(inputs)),
    "before an operation": on_node(True, doubled),
    "of a module": lambda net: net.last.register_full_backward_hook(
        lambda part, inputs, outputs: doubled(inputs)
    ),
    "before a module": lambda net: net.last.register_full_backward_pre_hook(
        lambda part, outputs: doubled(outputs)
    ),
}
HARMLESS: dict[str, Hooked] = {
    "it looks": on_tensor(lambda gradient: None),
    "the same": on_tensor(lambda gradient: gradient),
    "equal numbers": on_tensor(Tensor.clone),
    "a clamp that is never met": on_tensor(lambda gradient: gradient.clamp(-1e3, 1e3)),
    "a module's": lambda net: net.last.register_full_backward_hook(
        lambda part, inputs, outputs: None
    ),
    "of the first module, whose input has no gradient": lambda net: (
        net.first.register_full_backward_hook(lambda part, inputs, outputs: None)
    ),
}


@pytest.mark.parametrize("name", CHANGING)
@pytest.mark.parametrize(
    "estimator",
    [
        Amended(ETA),
        Amended(ETA, derivatives=Autograd(chunk=2)),
        Amended(ETA, derivatives=ReverseOverForward()),
        Unrolled(2, lr=0.1),
    ],
    ids=repr,
)
@pytest.mark.filterwarnings("ignore::bilevel.estimators.ChangedGradient")
def test_second_derivatives_through_a_hook_that_changes_are_refused(
    estimator: Any, name: str
) -> None:
    refused = "a hook in a loss changes a gradient|has no forward mode"  # that of modules has none
    with pytest.raises(UnsupportedDerivativeError, match=refused):
        estimator(*problem(CHANGING[name]))


@pytest.mark.parametrize("name", CHANGING)
@pytest.mark.parametrize(
    "estimator",
    [Amended(ETA, derivatives=CentralDifference()), Penalty(1.0, steps=2, lr=0.1)],
    ids=repr,
)
def test_first_derivatives_through_it_are_warned_of(estimator: Any, name: str) -> None:
    with pytest.warns(ChangedGradient, match=r"a hook in a loss changes.*bilevel\.check compares"):
        estimator(*problem(CHANGING[name]))


MATRIX = 0.2 * torch.randn(4, 4, dtype=f64, generator=torch.Generator().manual_seed(2))


def fixed_point(w: Tensor) -> Tensor:
    """z = tanh(Mz + w), whose gradient a hook makes that of the fixed point."""

    def again(z: Tensor) -> Tensor:
        return torch.tanh(MATRIX @ z + w)

    with torch.no_grad():
        z = torch.zeros_like(w)
        for _ in range(60):
            z = again(z)
    found, start = again(z), z.clone().requires_grad_()
    if found.requires_grad:
        step = again(start)

        def solved(slope: Tensor) -> Tensor:
            total = slope
            for _ in range(60):
                total = slope + torch.autograd.grad(step, start, total, retain_graph=True)[0]
            return total

        found.register_hook(solved)
    return found


def test_an_implicit_layer_by_a_hook_is_right_by_differences() -> None:
    omega, alpha = X[0].clone(), torch.tensor(0.5, dtype=f64)

    def by(layer: Callable[[Tensor], Tensor]) -> BilevelProblem:
        return BilevelProblem(
            lambda w, a: (layer(w) - 1).square().sum() + 4 * a * w.square().sum(),
            lambda w, a: (layer(2 * w) - 0.5).square().sum(),
        )

    def unrolled(w: Tensor) -> Tensor:
        z = torch.zeros_like(w)
        for _ in range(60):
            z = torch.tanh(MATRIX @ z + w)
        return z

    truth = Exact()(by(unrolled), omega, alpha).implicit
    how = CentralDifference()
    with pytest.warns(ChangedGradient):
        found = Exact(derivatives=how)(by(fixed_point), omega, alpha).implicit
    assert torch.isclose(found, truth, rtol=1e-6)
    assert check(by(fixed_point), omega, alpha, derivatives=how).ok
    assert "differentiable backward" in str(check(by(fixed_point), omega, alpha))


def test_a_hook_of_all_modules_is_refused_and_check_names_it() -> None:
    case = problem(lambda net: None)
    handle = register_module_full_backward_hook(lambda part, inputs, outputs: doubled(inputs))
    try:
        with pytest.raises(UnsupportedDerivativeError, match="a hook in a loss"):
            Amended(ETA)(*case)
        assert "a hook in a loss changes a gradient" in str(check(*case))
    finally:
        handle.remove()
    assert check(*case).ok


@pytest.mark.parametrize("name", HARMLESS)
@pytest.mark.parametrize("how", [Autograd(), CentralDifference()], ids=lambda how: str(how)[:8])
def test_a_hook_that_changes_nothing_changes_no_estimate(how: Any, name: str) -> None:
    case, params, hyperparams = problem(lambda net: None)
    oracle = dense(case.inner, case.outer, params, hyperparams)
    truth = -ETA * oracle.mixed @ oracle.hessian @ oracle.outer_gradient
    found = Amended(ETA, derivatives=how)(*problem(HARMLESS[name])).implicit
    assert torch.isclose(found, truth.squeeze(), rtol=1e-6)


def test_a_hook_may_make_an_infinite_gradient_finite() -> None:
    zero = torch.zeros(2, dtype=f64)

    def loss(w: Tensor, a: Tensor) -> Tensor:
        inside = w * 1
        if inside.requires_grad:
            inside.register_hook(lambda gradient: gradient.nan_to_num(posinf=0, neginf=0))
        return torch.where(inside > 0, inside.sqrt(), (inside - a).square()).sum()

    found = Amended(ETA)(BilevelProblem(loss, lambda w, a: (w - 1).square().sum()), zero, zero + 1)
    assert torch.isfinite(found.implicit).all()


def test_handles_of_hooks_have_their_own_class_and_numbers_again() -> None:
    """A hook of a tensor that outlives the loss, and one that is taken off."""
    kept, weight = [], torch.ones(3, dtype=f64, requires_grad=True)

    def loss(w: Tensor, a: Tensor) -> Tensor:
        if w.requires_grad:
            kept.append((weight.register_hook(lambda gradient: None), RemovableHandle.next_id))
        return (w - a).square().sum() + (weight.detach() * w).sum()

    before = RemovableHandle.next_id
    Amended(ETA)(BilevelProblem(loss, loss), torch.ones(3, dtype=f64), torch.ones(3, dtype=f64))
    numbers = [handle.id for handle, _ in kept]
    assert numbers == list(range(before, before + len(kept)))
    later = weight.register_hook(lambda gradient: None)
    assert type(later) is RemovableHandle
    assert later.id == before + len(kept)
    for handle, _ in kept:
        handle.remove()
    later.remove()
    assert not weight._backward_hooks
