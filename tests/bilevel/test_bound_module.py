"""A bound module is the module at ω, in its parts and methods too, and leaves it as it was."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.utils import parametrize
from torch.optim import SGD
from torch.utils.checkpoint import checkpoint

from bilevel import Autograd, BilevelProblem, CentralDifference, ReverseOverForward, solve
from bilevel.bound_module import BoundModule
from bilevel.estimators import ConjugateGradient, Exact, FirstOrder, Penalty, Unrolled
from bilevel.vector import Vector

f64 = torch.float64
X = torch.randn(6, 3, dtype=f64, generator=torch.Generator().manual_seed(0))
Y = torch.randn(6, 3, dtype=f64, generator=torch.Generator().manual_seed(1))


class Parts(nn.Module):
    """Parts by attribute and by index, a method, buffers, and a frozen parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(3, 4), nn.Tanh())
        self.blocks = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
        self.norm = nn.BatchNorm1d(4)
        self.head = nn.Linear(4, 1)
        self.head.bias.requires_grad_(False)
        self.double()

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.blocks[1](self.blocks[0](self.encoder(x))))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x))


@pytest.fixture
def bound() -> tuple[BoundModule, Parts, Parts]:
    """A module bound to the parameters of another one, and both."""
    torch.manual_seed(0)
    module, other = Parts(), Parts()
    params = {name: p for name, p in other.named_parameters() if p.requires_grad}
    other.head.bias.data.copy_(module.head.bias)
    return BoundModule(module, params), module, other


def test_parts_methods_and_parameters_of_a_bound_module_are_those_of_omega(bound: Any) -> None:
    net, module, other = bound
    before = {key: value.clone() for key, value in module.state_dict().items()}
    expected = other(X)
    assert torch.equal(net(X), expected)
    assert torch.equal(net.head(net.features(X)), expected)
    by_hand = net.norm(net.blocks[1](net.blocks[0](net.encoder(X))))
    assert torch.equal(net.head(by_hand), expected)
    assert torch.equal(net.encoder[0].weight, other.encoder[0].weight)
    assert set(net.encoder.params) == {"0.weight", "0.bias"}
    assert len(net.blocks) == 2
    assert torch.equal(list(net.blocks)[1].bias, other.blocks[1].bias)
    for own, theirs in zip(net.parameters(), other.parameters(), strict=True):
        assert torch.equal(own, theirs)
    assert [name for name, _ in net.named_parameters()] == [n for n, _ in other.named_parameters()]
    penalty = sum(p.square().sum() for child in net.children() for p in child.parameters())
    assert penalty == sum(p.square().sum() for p in other.parameters())
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())
    assert all(isinstance(p, nn.Parameter) for p in module.parameters())
    with pytest.raises(AttributeError, match="decoder"):
        net.decoder(X)
    for copied in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert torch.equal(copied(X), expected)


def test_slices_of_a_bound_module_are_those_of_omega(bound: Any) -> None:
    net, module, other = bound
    assert torch.equal(net.encoder[:1](X), other.encoder[:1](X))
    assert torch.equal(net.encoder[0:2][:1](X), other.encoder[:1](X))
    assert torch.equal(nn.Sequential(*net.encoder[:2])(X), other.encoder(X))
    (last,) = net.blocks[-1:]
    assert torch.equal(last.weight, other.blocks[1].weight)
    for own, theirs in zip(net.blocks[:].parameters(), other.blocks.parameters(), strict=True):
        assert torch.equal(own, theirs)
    assert [type(part) for part in module.encoder] == [nn.Linear, nn.Tanh]


def test_a_penalty_over_parameters_gives_the_hypergradient_of_the_one_over_params() -> None:
    torch.manual_seed(1)
    module = nn.Linear(3, 3, dtype=f64)

    def total(penalised: Any) -> torch.Tensor:
        problem = BilevelProblem.from_module(
            module,
            lambda n, a: (
                (n(X) - Y).square().mean() + a.exp() * sum(p.square().sum() for p in penalised(n))
            ),
            lambda n, a: (n(X) + Y).square().mean(),
            hyperparams=torch.tensor(-1.0, dtype=f64),
        )
        return Exact()(*problem).total

    assert torch.equal(total(lambda n: n.parameters()), total(lambda n: n.params.values()))


def _square(leaf: torch.Tensor) -> torch.Tensor:
    return leaf.square().sum()


@pytest.mark.parametrize(
    "weights",
    [
        lambda n: [m.weight for m in n.modules() if isinstance(m, nn.Linear)],
        lambda n: [m.weight for m in n.modules() if m.__class__ is nn.Linear],
        lambda n: [m.weight for m in n.children() if not isinstance(m, nn.Tanh)],
        lambda n: [p for p in n.parameters() if isinstance(p, nn.Parameter) and p.dim() > 1],
        lambda n: [p for p in nn.Sequential(n[0], n[2]).parameters() if p.dim() > 1],
    ],
    ids=["isinstance", "__class__", "not isinstance", "parameter", "parts of a new module"],
)
def test_a_penalty_that_chooses_by_class_is_the_one_over_those_weights(weights: Any) -> None:
    torch.manual_seed(3)
    module = nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 3)).double()

    def derivative(chosen: Any) -> torch.Tensor:
        problem, params, alpha = BilevelProblem.from_module(
            module,
            lambda n, a: (n(X) - Y).square().mean() + a.exp() * sum(map(_square, chosen(n))),
            lambda n, a: (n(X) + Y).square().mean(),
            hyperparams=torch.tensor(-1.0, dtype=f64),
        )
        return problem.inner_gradients(Vector.of(params), Vector.of(alpha))[2].leaves[0]

    assert derivative(weights) == derivative(lambda n: [n.params["0.weight"], n.params["2.weight"]])


@pytest.mark.parametrize(
    "estimator",
    [
        Exact(),
        Exact(derivatives=CentralDifference()),
        Exact(derivatives=ReverseOverForward()),
        FirstOrder(),
        Penalty(100.0, 3, 0.1),
        Unrolled(3, lr=0.1, derivatives=CentralDifference()),
    ],
    ids=repr,
)
@pytest.mark.filterwarnings("ignore::bilevel.estimators.HypergradientWarning")
def test_a_penalty_on_what_requires_gradients_is_the_one_over_params(estimator: Any) -> None:
    """Also where an evaluation is differentiated in α alone, and with α a module too."""
    torch.manual_seed(3)
    module = nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 3)).double()
    module[0].bias.requires_grad_(False)

    def total(chosen: Any) -> torch.Tensor:
        def penalty(n: Any, a: Any) -> torch.Tensor:
            return a(X).square().mean() * sum(map(_square, [*chosen(n), *chosen(a)]))

        torch.manual_seed(5)
        problem = BilevelProblem.from_module(
            module,
            lambda n, a: (n(X) - Y).square().mean() + 5 * penalty(n, a),
            lambda n, a: (n(X) + Y).square().mean() + penalty(n, a),
            hyperparams=nn.Linear(3, 1, dtype=f64),
        )
        return Vector.of(estimator(*problem).total).flat()

    chosen = total(lambda n: [p for p in n.parameters() if p.requires_grad])
    assert torch.equal(chosen, total(lambda n: n.params.values()))
    assert chosen.norm() > 1e-3


def test_what_stands_for_a_parameter_is_one_to_isinstance_only_within_a_loss() -> None:
    module, seen = nn.Linear(3, 3, dtype=f64), []

    def loss(n: Any, a: Any) -> torch.Tensor:
        seen.append([isinstance(p, nn.Parameter) for p in (n.weight, a["net"].weight, a["rate"])])
        return (n(X) - a["net"](Y)).square().mean() * a["rate"]

    alpha = {"net": nn.Linear(3, 3, dtype=f64), "rate": torch.tensor(1.0, dtype=f64)}
    problem, params, hyper = BilevelProblem.from_module(module, loss, loss, hyperparams=alpha)
    omega = {name: p.detach().clone() for name, p in params.items()}
    problem.inner(omega, hyper)
    assert seen == [[True, True, False]]
    assert not any(isinstance(p, nn.Parameter) or vars(p) for p in omega.values())
    assert all(isinstance(p, nn.Parameter) for p in module.parameters())


def test_functional_call_of_a_bound_module_reads_the_tensors_that_it_is_given(bound: Any) -> None:
    net, module, other = bound
    before = net(X)
    others = {name: p + 0.1 for name, p in other.named_parameters()}
    expected = torch.func.functional_call(other, others, (X,))
    assert torch.equal(torch.func.functional_call(net, others, (X,)), expected)
    assert not torch.equal(expected, before)
    encoder = {"0.weight": others["encoder.0.weight"]}
    assert torch.equal(
        torch.func.functional_call(net.encoder, encoder, (X,)),
        torch.func.functional_call(other.encoder, encoder, (X,)),
    )
    moved = {f"norm.running_{name}": torch.full((4,), 2.0, dtype=f64) for name in ("mean", "var")}
    assert torch.equal(
        torch.func.functional_call(net.eval(), moved, (X,)),
        torch.func.functional_call(other.eval(), moved, (X,)),
    )
    assert torch.equal(net.train()(X), before)  # and it reads ω again
    assert all(isinstance(p, nn.Parameter) for p in module.parameters())


def test_a_step_that_a_loss_takes_by_functional_call_is_differentiated() -> None:
    """MAML in L_val, against the step written out with the weights themselves."""
    torch.manual_seed(4)
    module = nn.Linear(3, 3, dtype=f64)

    def error(weights: Any) -> torch.Tensor:
        return (X @ weights["weight"].T + weights["bias"] - Y).square().mean()

    def stepped(weights: Any, value: torch.Tensor) -> dict[str, torch.Tensor]:
        slopes = torch.autograd.grad(value, list(weights.values()), create_graph=True)
        return {name: w - g for (name, w), g in zip(weights.items(), slopes, strict=True)}

    def by_call(net: Any, alpha: Any) -> torch.Tensor:
        fast = stepped(net.params, (net(X) - Y).square().mean())
        return (torch.func.functional_call(net, fast, (X,)) - Y).square().mean()

    def total(outer: Any) -> torch.Tensor:
        problem = BilevelProblem.from_module(
            module,
            lambda n, a: error(n.params) + a.exp() * sum(map(_square, n.parameters())),
            outer,
            hyperparams=torch.tensor(-1.0, dtype=f64),
        )
        return Exact(largest=100)(*problem).total

    expected = total(lambda n, a: error(stepped(n.params, error(n.params))))
    torch.testing.assert_close(total(by_call), expected, rtol=1e-12, atol=0)


def test_an_attribute_set_on_a_part_of_a_bound_module_is_set_in_the_module() -> None:
    module = nn.Sequential(nn.LeakyReLU(0.01), nn.Linear(3, 3, dtype=f64))
    net = BoundModule(module, dict(module.named_parameters()))
    net[0].negative_slope = 0.5
    net.scale = 2.0
    assert module[0].negative_slope == 0.5
    assert module.scale == net.scale == 2.0
    assert torch.equal(net(X), module[1](nn.functional.leaky_relu(X, 0.5)))
    del net.scale
    assert not hasattr(module, "scale")
    with pytest.raises(TypeError, match="cannot assign"):
        net[1].weight = torch.zeros(3, 3, dtype=f64)


class Doubled(nn.Module):
    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight * weight.sigmoid()


@pytest.mark.parametrize("derivatives", [Autograd(), CentralDifference()])
def test_a_cache_of_parametrizations_does_not_outlive_an_evaluation(derivatives: Any) -> None:
    torch.manual_seed(6)
    module = nn.Linear(3, 3, dtype=f64)
    parametrize.register_parametrization(module, "weight", Doubled())
    problem = BilevelProblem.from_module(
        module,
        lambda n, a: (n(X) - Y).square().mean() + a.exp() * sum(map(_square, n.parameters())),
        lambda n, a: (n(X) + Y).square().mean(),
        hyperparams=torch.tensor(1.0, dtype=f64),
    )
    estimator = Exact(derivatives=derivatives)
    expected = estimator(*problem).total
    with parametrize.cached():
        seen = module.weight
        assert torch.equal(estimator(*problem).total, expected)
        assert module.weight is seen  # the caller's own cache is as it was


class Stacked(nn.Module):
    """Two checkpointed parts, of which one lies in the other."""

    def __init__(self, checkpointed: bool) -> None:
        super().__init__()
        self.first, self.last = (nn.Sequential(nn.Linear(3, 3), nn.Tanh()) for _ in range(2))
        self.checkpointed = checkpointed
        self.double()

    def run(self, part: Any, x: torch.Tensor) -> Any:
        return checkpoint(part, x, use_reentrant=False) if self.checkpointed else part(x)

    def forward(self, x: torch.Tensor) -> Any:
        return self.run(lambda y: self.last(self.run(self.first, y)), x)


def _stepped(net: Any) -> torch.Tensor:
    """The outputs after a step that the loss takes itself."""
    value = (net(X) + Y).square().mean()
    slopes = torch.autograd.grad(value, list(net.params.values()), create_graph=True)
    fast = {name: p - 0.1 * g for (name, p), g in zip(net.params.items(), slopes, strict=True)}
    outputs: torch.Tensor = torch.func.functional_call(net, fast, (X,))
    return outputs


@pytest.mark.parametrize(
    "estimator",
    [
        ConjugateGradient(20, damping=1.0),
        ConjugateGradient(20, damping=1.0, derivatives=CentralDifference(), tolerance=1e-6),
        Penalty(100.0, 3, 0.1),
        Unrolled(3, lr=0.1),
    ],
    ids=repr,
)
@pytest.mark.parametrize("outputs", [lambda net: net(X), _stepped], ids=["calls", "MAML"])
@pytest.mark.filterwarnings("ignore::bilevel.estimators.HypergradientWarning")
def test_checkpointed_parts_are_recomputed_at_omega(estimator: Any, outputs: Any) -> None:
    """At an ω that is not the module's own, as in `solve`: PyTorch recomputes in backward."""

    def total(checkpointed: bool) -> torch.Tensor:
        torch.manual_seed(7)
        module = Stacked(checkpointed)
        problem, params, alpha = BilevelProblem.from_module(
            module,
            lambda n, a: (n(X) - Y).square().mean() + a.exp() * sum(map(_square, n.parameters())),
            lambda n, a: (outputs(n) + Y).square().mean(),
            hyperparams=torch.tensor(-1.0, dtype=f64),
        )
        omega = {name: p.detach() + 0.3 for name, p in params.items()}
        found: torch.Tensor = estimator(problem, omega, alpha).total
        assert all(p is params[name] for name, p in module.named_parameters())
        return found

    torch.testing.assert_close(total(True), total(False), rtol=1e-12, atol=0)


class TwoNames(nn.Module):
    """One linear map twice: as one part under two names, or as one weight of two parts."""

    def __init__(self, part: bool) -> None:
        super().__init__()
        self.a = nn.Linear(3, 3, bias=False, dtype=f64)
        if part:
            self.b = self.a
        else:
            self.b = nn.Linear(3, 3, bias=False, dtype=f64)
            self.b.weight = self.a.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(self.a(x))


@pytest.mark.parametrize("part", [True, False], ids=["part", "weight"])
def test_a_parameter_under_two_names_is_one_and_stays_a_parameter(part: bool) -> None:
    """Against losses that are written with the weight itself: y = x Wᵀ Wᵀ."""
    torch.manual_seed(2)
    module = TwoNames(part)
    alpha = torch.tensor(0.3, dtype=f64)
    bound, params, _ = BilevelProblem.from_module(
        module,
        lambda n, a: (n(X) - Y).square().mean() + a * n.params["a.weight"].square().sum(),
        lambda n, a: (n(X) + Y).square().mean(),
        hyperparams=alpha,
    )
    plain = BilevelProblem(
        lambda w, a: (X @ w.T @ w.T - Y).square().mean() + a * w.square().sum(),
        lambda w, a: (X @ w.T @ w.T + Y).square().mean(),
    )

    def solved(problem: BilevelProblem, omega: Any) -> Any:
        return solve(
            problem,
            Exact(),
            omega,
            alpha,
            inner=lambda ps: SGD(ps, lr=0.1),
            outer=lambda ps: SGD(ps, lr=0.1),
            steps=5,
        )

    assert list(params) == ["a.weight"]
    found, expected = solved(bound, params), solved(plain, module.a.weight)
    torch.testing.assert_close(found.omega["a.weight"], expected.omega, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.alpha, expected.alpha, rtol=1e-12, atol=1e-12)
    assert isinstance(module.a.weight, nn.Parameter)
    assert module.b.weight is module.a.weight


class Hidden(nn.Module):
    def __init__(self, hide: Any) -> None:
        super().__init__()
        self.shown = nn.Linear(3, 3)
        hide(self)


@pytest.mark.parametrize(
    ("hide", "where"),
    [
        (lambda m: setattr(m, "layers", [nn.ReLU(), nn.Linear(3, 3)]), r"layers\[1\]\.weight"),
        (lambda m: setattr(m, "table", {"x": nn.Parameter(torch.ones(3))}), r"table\['x'\]"),
        (lambda m: setattr(m, "tied", (m.shown.weight,)), r"tied\[0\]"),
        (
            lambda m: setattr(m, "deep", [[nn.Sequential(nn.Linear(1, 1))]]),
            r"\[0\]\[0\]\.0\.weight",
        ),
    ],
)
def test_parameters_where_the_module_does_not_know_of_them_are_refused_by_name(
    hide: Any, where: str
) -> None:
    with pytest.raises(ValueError, match=rf"Hidden\..*{where} is a trainable parameter in a plain"):
        BilevelProblem.from_module(
            Hidden(hide), lambda n, a: a, lambda n, a: a, hyperparams=torch.ones(1)
        )


@pytest.mark.parametrize(
    "hide",
    [
        lambda m: setattr(m, "order", [m.shown]),  # a registered part, listed once more
        lambda m: setattr(m, "frozen", [nn.Linear(2, 2).requires_grad_(False)]),
        lambda m: setattr(m, "sizes", {"width": 3, "names": ["a"]}),
        lambda m: setattr(m, "recurrent", nn.LSTM(3, 3)),  # torch keeps a list of its own
    ],
)
def test_what_is_in_a_plain_list_and_does_no_harm_is_not_refused(hide: Any) -> None:
    _, params, _ = BilevelProblem.from_module(
        Hidden(hide), lambda n, a: a, lambda n, a: a, hyperparams=torch.ones(1)
    )
    assert "shown.weight" in params


def test_a_lazy_module_is_to_be_called_before() -> None:
    lazy = nn.Sequential(nn.LazyLinear(2), nn.Linear(2, 1)).double()

    def loss(n: Any, a: torch.Tensor) -> torch.Tensor:
        return n(X).square().mean() + a * sum(p.square().sum() for p in n.parameters())

    one = torch.ones((), dtype=f64)
    with pytest.raises(ValueError, match=r"0\.weight.*call the module on data once"):
        BilevelProblem.from_module(lazy, loss, loss, hyperparams=one)
    lazy(X)
    assert FirstOrder()(*BilevelProblem.from_module(lazy, loss, loss, hyperparams=one)).direct != 0


@pytest.mark.usefixtures("one_process")
def test_of_a_parallel_wrapper_the_module_inside_is_taken(monkeypatch: Any) -> None:
    module = nn.Linear(3, 3, dtype=f64)

    def losses(wrapped: nn.Module) -> Any:
        return BilevelProblem.from_module(
            wrapped,
            lambda n, a: (n(X) - Y).square().mean() + a * n.params["weight"].square().sum(),
            lambda n, a: (n(X) + Y).square().mean(),
            hyperparams=torch.tensor(0.1, dtype=f64),
        )

    for wrapper in (nn.DataParallel, nn.parallel.DistributedDataParallel):
        wrapped = losses(wrapper(module))
        assert list(wrapped[1]) == ["weight", "bias"]
        assert torch.equal(Exact()(*wrapped).total, Exact()(*losses(module)).total)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    with pytest.warns(UserWarning, match=r"bilevel\.distributed\.averaged\(problem\)"):
        losses(nn.DataParallel(module))


def test_a_pytorch_without_the_hook_of_checkpoints_is_named(monkeypatch: Any) -> None:
    monkeypatch.delattr(torch.utils.checkpoint, "_checkpoint_hook")
    net = nn.Linear(3, 3, dtype=f64)
    bound = BoundModule(net, dict(net.named_parameters()))
    with pytest.warns(UserWarning, match="has no torch.utils.checkpoint._checkpoint_hook"):
        found = bound(X)
    torch.testing.assert_close(found, net(X))
