"""Norms in both modes in one loss: evaluation mode reads the statistics that the module has."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bilevel import BilevelProblem, CentralDifference, check
from bilevel.bound_module import BoundModule
from bilevel.derivatives import Autograd
from bilevel.estimators import Amended
from tests.dense import dense

f64 = torch.float64
X, OTHER = torch.randn(2, 8, 4, dtype=f64, generator=torch.Generator().manual_seed(1))
ALPHA = torch.tensor(-1.0, dtype=f64)
ETA = 0.1


def network() -> nn.Sequential:
    """With statistics that are not those of a new module."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 1)).double()
    for _ in range(3):
        net(3 * X + 1)
    return net


def by_mode(net: Any, *, training: bool) -> Tensor:
    net.train(training)
    output: Tensor = net(X if training else OTHER)
    return output


def both(order: tuple[bool, ...]) -> Callable[[Any, Tensor], Tensor]:
    def loss(net: Any, a: Tensor) -> Tensor:
        outputs = [by_mode(net, training=mode) for mode in order]
        fit = sum((output - 1).square().mean() for output in outputs)
        decay = sum(p.square().sum() for p in net.params.values())
        return fit + a.exp() * decay

    return loss


def spelled_out(net: nn.Sequential) -> Callable[[dict[str, Tensor], Tensor], Tensor]:
    """The same by functions, with the module's statistics as numbers."""
    mean, var = (getattr(net[1], f"running_{name}").clone() for name in ("mean", "var"))

    def output(w: dict[str, Tensor], x: Tensor, training: bool) -> Tensor:
        h = F.linear(x, w["0.weight"], w["0.bias"])
        centre, spread = (h.mean(0), h.var(0, unbiased=False)) if training else (mean, var)
        h = (h - centre) / (spread + 1e-5).sqrt() * w["1.weight"] + w["1.bias"]
        return F.linear(torch.tanh(h), w["3.weight"], w["3.bias"])

    def loss(w: dict[str, Tensor], a: Tensor) -> Tensor:
        outputs = output(w, X, True), output(w, OTHER, False)
        fit = sum((one - 1).square().mean() for one in outputs)
        return fit + a.exp() * sum(p.square().sum() for p in w.values())

    return loss


@pytest.mark.parametrize("how", [Autograd(), CentralDifference()], ids=lambda how: str(how)[:8])
@pytest.mark.parametrize(
    "order", [(True, False), (False, True)], ids=["training first", "evaluation first"]
)
def test_the_estimate_is_that_of_the_loss_with_the_modules_statistics(
    order: tuple[bool, bool], how: Any
) -> None:
    """It was off by 1 to 30 %, in either order and each another way."""
    net = network()
    loss, truth = both(order), spelled_out(net)
    problem, params, alpha = BilevelProblem.from_module(net, loss, loss, hyperparams=ALPHA)
    leaves = {name: leaf.detach() for name, leaf in params.items()}
    oracle = dense(truth, truth, leaves, alpha)
    found = Amended(ETA, derivatives=how)(problem, params, alpha)
    expected = -ETA * oracle.mixed @ oracle.hessian @ oracle.outer_gradient
    assert torch.isclose(found.implicit, expected.squeeze(), rtol=1e-6)
    report = check(problem, params, alpha)
    assert report.ok, str(report)


def test_modes_change_the_copies_and_leave_the_module_as_it_was() -> None:
    net = network()
    before = {name: buffer.clone() for name, buffer in net.named_buffers()}
    fresh = copy.deepcopy(net).eval()(OTHER)
    bound = BoundModule(net, dict(net.named_parameters()))
    for training in (True, False, True, True, False):
        output = by_mode(bound, training=training)
    assert torch.equal(output, fresh)
    bound.train()
    assert bound[1].num_batches_tracked == before["1.num_batches_tracked"] + 3
    assert all(torch.equal(buffer, before[name]) for name, buffer in net.named_buffers())


def test_statistics_that_a_loss_puts_in_are_read() -> None:
    """Through `functional_call` of the bound module, for that call, in either mode."""
    net = network()
    bound = BoundModule(net, dict(net.named_parameters()))
    others = {f"1.running_{name}": torch.full((5,), 2.0, dtype=f64) for name in ("mean", "var")}
    bound.eval()
    found = torch.func.functional_call(bound, others, (OTHER,))
    net.eval()
    assert torch.equal(found, torch.func.functional_call(net, others, (OTHER,)))
    assert torch.equal(bound(OTHER), net(OTHER))
