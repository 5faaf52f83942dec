"""α may be the parameters of a module: the losses get it bound, and it is trained where it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.func import functional_call
from torch.optim import SGD, Adam

from bilevel import BilevelProblem, alternating_step, check, solve
from bilevel.checkpoints import Checkpoints
from bilevel.connection import DisconnectedError
from bilevel.estimators import ConjugateGradient, Exact
from tests.dense import dense

f64 = torch.float64
X, Z = (
    torch.randn(12, 3, dtype=f64, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1)
)
Y, T = X @ torch.tensor([1.0, -2.0, 0.5], dtype=f64), Z @ torch.tensor([1.0, -1.0, 1.0], dtype=f64)


class Weigher(nn.Module):
    """Weights of examples, by parts that a bound module has too; and a decay beside them."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(3, 2), nn.Tanh())
        self.head = nn.Linear(2, 1)
        self.log_decay = nn.Parameter(torch.tensor(-1.0))
        self.scale = nn.Parameter(torch.tensor(2.0), requires_grad=False)
        self.double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale * self.head(self.encoder(x)).sigmoid()[:, 0]


def losses(net: Any, weights: torch.Tensor, log_decay: torch.Tensor) -> torch.Tensor:
    penalty = net["weight"].square().sum() + net["bias"].square().sum()
    fit = X @ net["weight"][0] + net["bias"] - Y
    return (weights * fit.square()).mean() + log_decay.exp() * penalty


def bound() -> tuple[Any, nn.Linear, Weigher]:
    torch.manual_seed(0)
    net, weigher = nn.Linear(3, 1, dtype=f64), Weigher()
    problem = BilevelProblem.from_module(
        net,
        lambda net, alpha: losses(net.params, alpha(X), alpha.log_decay),
        lambda net, alpha: (net(Z)[:, 0] - T).square().mean(),
        hyperparams=weigher,
    )
    return problem, net, weigher


def test_the_hypergradient_is_that_of_the_losses_with_the_parameters_written_out() -> None:
    (problem, omega, alpha), _, weigher = bound()
    found = Exact()(problem, omega, alpha)

    def inner(w: Any, a: Any) -> torch.Tensor:
        return losses(w, functional_call(weigher, a, (X,)), a["log_decay"])

    def outer(w: Any, a: Any) -> torch.Tensor:
        return (Z @ w["weight"][0] + w["bias"] - T).square().mean()

    oracle = dense(
        inner,
        outer,
        {name: leaf.detach() for name, leaf in omega.items()},
        {name: leaf.detach() for name, leaf in alpha.items()},
    )
    own = torch.cat([found.implicit[name].reshape(-1) for name in sorted(alpha)])
    expected = oracle.exact()
    n, eps = len(oracle.hessian), torch.finfo(f64).eps
    rounding = n * eps * float(torch.linalg.cond(oracle.hessian))
    assert (own - expected).norm() < rounding * expected.norm()
    assert set(alpha) == {
        "encoder.0.weight",
        "encoder.0.bias",
        "head.weight",
        "head.bias",
        "log_decay",
    }  # a frozen one is none
    assert all(alpha[name] is p for name, p in weigher.named_parameters() if p.requires_grad)


def test_parts_of_alpha_are_bound_too_and_a_check_finds_nothing() -> None:
    net, weigher = nn.Linear(3, 1, dtype=f64), Weigher()

    def inner(net: Any, alpha: Any) -> torch.Tensor:
        weights = alpha.scale * alpha.head(alpha.encoder(X)).sigmoid()[:, 0]
        assert torch.equal(weights, alpha(X))
        return losses(net.params, weights, alpha.log_decay)

    made = BilevelProblem.from_module(
        net, inner, lambda net, alpha: (net(Z)[:, 0] - T).square().mean(), hyperparams=weigher
    )
    report = check(*made)
    assert report.ok, report


def test_a_module_may_stand_beside_tensors_in_a_tree() -> None:
    _, net, weigher = bound()
    decay = torch.tensor(-1.0, dtype=f64)
    problem, omega, alpha = BilevelProblem.from_module(
        net,
        lambda net, alpha: losses(net.params, alpha["weigher"](X), alpha["more"][0]),
        lambda net, alpha: (net(Z)[:, 0] - T).square().mean() + 0 * alpha["weigher"].log_decay,
        hyperparams={"weigher": weigher, "more": [decay]},
    )
    assert alpha["more"][0] is decay
    assert alpha["weigher"]["head.bias"] is weigher.head.bias
    one = Exact()(problem, omega, alpha).total
    (whole_problem, whole_omega, whole_alpha), _, _ = bound()
    whole = Exact()(whole_problem, whole_omega, whole_alpha).total
    torch.testing.assert_close(one["weigher"]["head.weight"], whole["head.weight"])
    torch.testing.assert_close(one["more"][0], whole["log_decay"])


def test_a_step_moves_the_module_itself_and_solve_moves_copies(tmp_path: Path) -> None:
    (problem, omega, alpha), net, weigher = bound()
    before = {name: leaf.clone() for name, leaf in weigher.state_dict().items()}
    estimator = ConjugateGradient(10, tolerance=None, stationary=None)
    solution = solve(
        problem,
        estimator,
        omega,
        alpha,
        inner=lambda leaves: SGD(leaves, lr=0.05),
        outer=lambda leaves: Adam(leaves, lr=0.1),
        steps=3,
        checkpoints=Checkpoints(tmp_path, every=1),
    )
    assert all(torch.equal(leaf, before[name]) for name, leaf in weigher.state_dict().items())
    inner, outer = SGD(net.parameters(), lr=0.05), Adam(weigher.parameters(), lr=0.1)
    for _ in range(3):
        alternating_step(problem, omega, alpha, estimator=estimator, inner=inner, outer=outer)
    for name, leaf in weigher.named_parameters():
        assert torch.equal(leaf, before[name]) == (name == "scale")
        if name != "scale":
            assert torch.equal(leaf, solution.alpha[name])
    weigher.load_state_dict(solution.alpha, strict=False)


def test_a_constraint_gets_the_parameters_by_name() -> None:
    (problem, omega, alpha), _, weigher = bound()

    def at_most_zero(alpha: Any) -> Any:
        return alpha | {"log_decay": alpha["log_decay"].clamp(max=0.0)}

    with torch.no_grad():
        weigher.log_decay.zero_()
    free, kept = (
        solve(
            problem,
            ConjugateGradient(10, tolerance=None),
            omega,
            alpha,
            inner=lambda leaves: SGD(leaves, lr=0.05),
            outer=lambda leaves: Adam(leaves, lr=0.1),
            steps=2,
            constraint=constraint,
        )
        for constraint in (None, at_most_zero)
    )
    assert free.alpha["log_decay"] > 0
    assert kept.alpha["log_decay"] == 0
    assert set(kept.alpha) == set(alpha)


def test_buffers_of_alphas_module_are_read_and_never_written() -> None:
    torch.manual_seed(1)
    net = nn.Linear(3, 1, dtype=f64)
    weigher = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 1), nn.Sigmoid()).double()
    before = {name: buffer.clone() for name, buffer in weigher.named_buffers()}
    made = BilevelProblem.from_module(
        net,
        lambda net, alpha: losses(net.params, alpha(X)[:, 0], torch.tensor(-1.0)),
        lambda net, alpha: (net(Z)[:, 0] - T).square().mean(),
        hyperparams=weigher,
    )
    Exact()(*made)
    assert before.keys() == {"0.running_mean", "0.running_var", "0.num_batches_tracked"}
    assert all(torch.equal(buffer, before[name]) for name, buffer in weigher.named_buffers())


def test_the_module_itself_in_place_of_the_bound_one_is_refused_by_name() -> None:
    net, weigher = nn.Linear(3, 1, dtype=f64), nn.Sequential(nn.Linear(3, 1), nn.Sigmoid()).double()
    made = BilevelProblem.from_module(
        net,
        lambda net, alpha: losses(net.params, weigher(X)[:, 0], torch.tensor(-1.0)),
        lambda net, alpha: (net(Z)[:, 0] - T).square().mean(),
        hyperparams=weigher,
    )
    assert "0.weight" in str(check(*made))
    with pytest.raises(DisconnectedError, match=r"0\.(weight|bias)"):
        Exact()(*made)


def of(net: nn.Module, hyperparams: Any) -> Any:
    return BilevelProblem.from_module(net, lambda n, a: a, lambda n, a: a, hyperparams=hyperparams)


def test_modules_that_cannot_be_alpha_are_refused_by_name() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1))
    shared, frozen = nn.Sequential(nn.Linear(3, 1), net[0]), nn.Linear(3, 1).requires_grad_(False)
    with pytest.raises(ValueError, match=r"\['1\.bias'\] is the module's own parameter '0\.b"):
        of(net, shared)
    with pytest.raises(ValueError, match=r"\['0'\]\['0\.bias'\] is the module's own parameter"):
        of(net, {"0": net})
    with pytest.raises(ValueError, match="Linear has no trainable parameters; α would lack it"):
        of(net, frozen)
    one = nn.Linear(3, 1)
    with pytest.raises(ValueError, match=r"\['a'\]\['bias'\] and \['b'\]\['1\.bias'\] are one"):
        of(net, {"a": one, "b": nn.Sequential(nn.Tanh(), one)})
    hidden = Weigher()
    hidden.layers = [nn.Linear(1, 1)]  # type: ignore[assignment]
    with pytest.raises(ValueError, match=r"layers\[0\]\.weight is .* replaced by α\. Use nn\.Mod"):
        of(net, hidden)


def test_a_parameter_dict_is_a_tree_and_not_a_network() -> None:
    decays = nn.ParameterDict({"a": nn.Parameter(torch.zeros(2))})
    _, _, alpha = of(nn.Linear(3, 1), decays)
    assert alpha is decays


@pytest.mark.usefixtures("one_process")
def test_of_a_wrapped_module_for_alpha_the_one_inside_is_taken(monkeypatch: Any) -> None:
    net, weigher = nn.Linear(3, 1), nn.Linear(3, 1)
    for wrapper in (nn.DataParallel, nn.parallel.DistributedDataParallel):
        _, _, alpha = of(net, wrapper(weigher))
        assert alpha["weight"] is weigher.weight
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    with pytest.warns(UserWarning, match="takes the module inside the DataParallel") as told:
        of(net, nn.DataParallel(weigher))
    assert told[0].filename == __file__
