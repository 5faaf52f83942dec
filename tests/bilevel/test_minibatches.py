"""A problem written once, on any batch, is the problem with that batch closed over, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from bilevel import Autograd, BilevelProblem, CentralDifference, Vector, alternating_step, solve
from bilevel.checkpoints import Checkpoints
from bilevel.derivatives import ReverseOverForward
from bilevel.diagnostics import compare, recommend
from bilevel.diagnostics.cost import counted
from bilevel.estimators import Amended, Certified, ConjugateGradient, DartsSecondOrder, Unrolled
from tests import documents

f64 = torch.float64
OMEGA = {"w": torch.linspace(-0.5, 0.5, 4, dtype=f64)[:, None], "b": torch.zeros(1, dtype=f64)}
ALPHA = torch.linspace(-2, 0, 4, dtype=f64)


def batch(seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(12, 4, generator=generator, dtype=f64)
    return x, torch.randn(12, 1, generator=generator, dtype=f64)


def inner(omega: Any, alpha: Any, data: Any) -> Tensor:
    x, y = data
    penalty = (alpha.exp()[:, None] * omega["w"] ** 2).sum() + omega["b"].square().sum()
    return mse_loss(torch.tanh(x @ omega["w"]) + omega["b"], y) + penalty


def outer(omega: Any, alpha: Any, data: Any) -> Tensor:
    x, y = data
    return mse_loss(x @ omega["w"] + omega["b"], y)


PROBLEM = BilevelProblem(inner, outer)


def closed(seed: int) -> BilevelProblem:
    train, val = batch(seed), batch(seed + 1000)
    return BilevelProblem(lambda w, a: inner(w, a, train), lambda w, a: outer(w, a, val))


def on(seed: int) -> BilevelProblem:
    return PROBLEM.on(batch(seed), batch(seed + 1000))


@pytest.mark.parametrize(
    "estimator",
    [
        Amended(0.1),
        Amended(0.1, derivatives=CentralDifference()),
        ConjugateGradient(5, tolerance=None, stationary=None, damping=1.0),
        ConjugateGradient(5, damping=1.0, stationary=None, derivatives=ReverseOverForward()),
        Certified(stationary=None, derivatives=Autograd(chunk=3)),
        DartsSecondOrder(xi=0.1),
        Unrolled(steps=3, lr=0.1),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_an_estimate_is_that_of_the_closure_bit_for_bit(estimator: Any) -> None:
    found, expected = (estimator(make(3), OMEGA, ALPHA) for make in (on, closed))
    assert torch.equal(found.total, expected.total)
    assert torch.equal(found.implicit, expected.implicit)
    other = estimator(on(4), OMEGA, ALPHA)
    assert not torch.equal(found.total, other.total)


OPTIONS: dict[str, Any] = {
    "inner": lambda ps: torch.optim.SGD(ps, lr=0.1),
    "outer": lambda ps: torch.optim.Adam(ps, lr=0.1),
}


def test_solve_takes_a_stream_of_batches_and_goes_on_with_it(tmp_path: Path) -> None:
    whole = [solve(make, Amended(0.1), OMEGA, ALPHA, steps=6, **OPTIONS) for make in (on, closed)]
    for name in OMEGA:
        assert torch.equal(whole[0].omega[name], whole[1].omega[name])
    assert torch.equal(whole[0].alpha, whole[1].alpha)
    for steps in (4, 6):
        resumed = solve(
            *(on, Amended(0.1), OMEGA, ALPHA),
            steps=steps,
            checkpoints=Checkpoints(tmp_path),
            **OPTIONS,
        )
    assert torch.equal(resumed.alpha, whole[0].alpha)


def test_an_alternating_step_is_that_of_the_closure() -> None:
    ends = []
    for make in (on, closed):
        omega = {name: leaf.clone().requires_grad_() for name, leaf in OMEGA.items()}
        alpha = ALPHA.clone().requires_grad_()
        alternating_step(
            make(0),
            omega,
            alpha,
            estimator=Amended(0.1),
            outer=torch.optim.SGD([alpha], lr=0.1),
            inner=torch.optim.SGD([*omega.values()], lr=0.1),
        )
        ends.append(torch.cat([alpha, omega["w"].flatten(), omega["b"]]).detach())
    assert torch.equal(*ends)


def dropping() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Dropout(0.5), nn.Linear(3, 1)).to(f64)


def module_inner(net: Any, alpha: Any, data: Any) -> Tensor:
    decay = sum((p**2).sum() for p in net.params.values())
    return mse_loss(net(data[0]), data[1]) + alpha.exp().sum() * decay


def module_outer(net: Any, alpha: Any, data: Any) -> Tensor:
    return mse_loss(net(data[0]), data[1])


def test_a_module_takes_batches_and_replays_its_dropout_before_and_after_on() -> None:
    train, val = batch(0), batch(1)
    module = dropping()
    problem, params, alpha = BilevelProblem.from_module(
        module, module_inner, module_outer, hyperparams=ALPHA
    )
    plain, _, _ = BilevelProblem.from_module(
        module,
        lambda net, a: module_inner(net, a, train),
        lambda net, a: module_outer(net, a, val),
        hyperparams=ALPHA,
    )
    found = [
        Amended(0.1)(each, params, alpha).total
        for each in (
            problem.on(train, val).replaying(7),
            problem.replaying(7).on(train, val),
            plain.replaying(7),
        )
    ]
    assert torch.equal(found[0], found[2])
    assert torch.equal(found[1], found[2])


def test_a_counted_problem_takes_batches_too() -> None:
    estimator, problem, count = counted(Amended(0.1), PROBLEM)
    found = estimator(problem.on(batch(3), batch(1003)), OMEGA, ALPHA)
    assert torch.equal(found.total, Amended(0.1)(on(3), OMEGA, ALPHA).total)
    assert (count.hessian_products, count.outer_evaluations) == (1, 1)


@pytest.mark.parametrize(
    "use",
    [
        lambda p: Amended(0.1)(p, OMEGA, ALPHA),
        lambda p: ConjugateGradient()(p.replaying(0), OMEGA, ALPHA),
        lambda p: solve(p, Amended(0.1), OMEGA, ALPHA, steps=1, **OPTIONS),
        lambda p: compare(p, OMEGA, ALPHA, [Amended(0.1)]),
        lambda p: recommend(p, OMEGA, ALPHA),
        lambda p: p.inner_gradient(Vector.of(OMEGA), Vector.of(ALPHA)),
    ],
)
def test_a_problem_without_its_batches_says_what_to_do(use: Any) -> None:
    with pytest.raises(TypeError, match=r"loss takes \(omega, alpha, batch\), .*problem\.on\("):
        use(PROBLEM)


def test_only_one_of_two_losses_may_not_need_a_batch() -> None:
    mixed = BilevelProblem(inner, lambda w, a: w["w"].sum())
    with pytest.raises(TypeError, match=r"the inner loss takes .*batch"):
        Amended(0.1)(mixed, OMEGA, ALPHA)
    with pytest.raises(TypeError, match="the outer loss takes no batch"):
        mixed.on(batch(0), batch(1))


@pytest.mark.parametrize("again", [lambda p: p.on(1, 2), lambda p: p.replaying(0).on(1, 2)])
def test_a_loss_with_its_batch_takes_no_other(again: Any) -> None:
    for problem in (on(0), closed(0)):
        with pytest.raises(TypeError, match="takes no batch, or has one already"):
            again(problem)


@pytest.mark.parametrize(
    ("inner", "outer", "message"),
    [
        (lambda w: w, outer, r"inner loss takes \(w\)\. It is called as inner\(omega, alpha\)"),
        (inner, lambda w, a, x, y: w, r"outer loss takes \(w, a, x, y\).*problem\.on\("),
        (inner, lambda w, *, a: w, "outer loss takes"),
        (None, outer, "inner loss is a NoneType, not a function of"),
    ],
)
def test_other_arguments_are_refused_as_the_problem_is_made(
    inner: Any, outer: Any, message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        BilevelProblem(inner, outer)
    with pytest.raises(TypeError, match=message.replace("omega", "net")):
        BilevelProblem.from_module(nn.Linear(2, 1), inner, outer, hyperparams=ALPHA)


def test_a_third_argument_with_a_default_is_no_batch_and_can_be_one() -> None:
    """`lambda w, a, x=x: ...` is how a closure in a loop is written."""
    x, y = batch(0)

    def loss(w: Any, a: Any, data: Any = (x, y)) -> Tensor:
        return inner(w, a, data)

    problem = BilevelProblem(loss, loss)
    other = batch(1)
    by_default = problem.inner_value(Vector.of(OMEGA), Vector.of(ALPHA))
    on_other = problem.on(other, other).inner_value(Vector.of(OMEGA), Vector.of(ALPHA))
    assert by_default == inner(OMEGA, ALPHA, (x, y))
    assert on_other == inner(OMEGA, ALPHA, other)


def test_the_example_of_the_document_runs_and_learns() -> None:
    found = documents.run("docs/guides/minibatches-and-dropout.md")
    losses = [step.outer_loss for step in found["solution"].steps]
    assert losses[0] == pytest.approx(2.302585, abs=1e-6)  # log 10: the weights start at zero
    assert sum(losses[-5:]) / 5 < losses[0] / 2
    assert found["hypergradient"].total.shape == (64,)


@pytest.mark.parametrize(
    "used_up",
    [
        lambda data: iter([data]),
        lambda data: zip(*data, strict=True),
        lambda data: (each for each in data),
        lambda data: (data[0], iter(data[1])),
        lambda data: {"x": data[0], "y": map(abs, data[1])},
    ],
    ids=["iter", "zip", "generator", "in a tuple", "in a dict"],
)
def test_an_iterator_is_no_batch_for_an_evaluation_uses_it_up(used_up: Any) -> None:
    with pytest.raises(TypeError, match=r"the inner loss is or holds a .*next\(\.\.\.\) of it"):
        PROBLEM.on(used_up(batch(0)), batch(1))
    with pytest.raises(TypeError, match=r"the outer loss is or holds a .*list\(\.\.\.\) for all"):
        PROBLEM.on(batch(0), used_up(batch(1)))


@pytest.mark.parametrize(
    "write",
    [lambda x: x.mul_(1.1), lambda x: x.__setitem__(0, 0.0), lambda x: x[1].add_(1)],
    ids=["mul_", "an entry", "a view"],
)
def test_a_loss_that_writes_to_its_batch_is_refused(write: Any) -> None:
    """Each evaluation was another function, and differences gave any number at all."""

    def written(omega: Any, alpha: Any, data: Any) -> Tensor:
        write(data["x"])
        return inner(omega, alpha, (data["x"], data["y"]))

    x, y = batch(0)
    problem = BilevelProblem(written, outer).on({"x": x, "y": y, "name": "first"}, batch(1))
    for how in (Autograd(), CentralDifference()):
        with pytest.raises(ValueError, match="a loss wrote to its batch in place"):
            Amended(0.1, derivatives=how)(problem, OMEGA, ALPHA)


def test_a_batch_need_not_be_of_tensors() -> None:
    drawn = BilevelProblem(lambda w, a, seed: inner(w, a, batch(seed)), outer).on(0, batch(1))
    expected = Amended(0.1)(PROBLEM.on(batch(0), batch(1)), OMEGA, ALPHA).total
    assert torch.equal(Amended(0.1)(drawn, OMEGA, ALPHA).total, expected)
