"""Reverse over forward mode gives the products of double backward, or refuses."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
import torch
from torch.autograd import forward_ad, functional
from torch.nn import functional as F

from bilevel import Autograd, BilevelProblem, Vector, relative_error
from bilevel.derivatives import ReverseOverForward
from bilevel.estimators import Amended
from bilevel.unsupported import UnsupportedDerivativeError


def problem(layer=torch.tanh) -> tuple[BilevelProblem, dict, torch.Tensor]:
    """A small network, α a weight on each example; its ω is dict-shaped."""
    torch.manual_seed(0)
    x = torch.randn(5, 4, dtype=torch.float64)
    omega = {"w": torch.randn(4, 4).double(), "b": torch.randn(4).double()}
    alpha = torch.randn(5, dtype=torch.float64)

    def inner(omega, alpha):
        output = layer(x @ omega["w"] + omega["b"])
        return (alpha.exp() * output.square().sum(1)).sum() + omega["w"].square().sum()

    return BilevelProblem(inner, lambda omega, alpha: omega["w"].sum().sin()), omega, alpha


def test_products_are_those_of_double_backward():
    """Rounding alone separates them: ε of float64 times the condition of some hundred terms."""
    case, omega, alpha = problem()
    at, hyper = Vector.of(omega), Vector.of(alpha)
    v, u = Vector.of({k: torch.randn_like(x) for k, x in omega.items()}), Vector.of(alpha.cos())
    exact, found = Autograd()(case, at, hyper), ReverseOverForward()(case, at, hyper)
    assert found.exact
    assert relative_error(found.hessian @ v, exact.hessian @ v) < 1e-13
    assert relative_error(found.mixed @ v, exact.mixed @ v) < 1e-13
    assert relative_error(found.mixed.T @ u, exact.mixed.T @ u) < 1e-13


def test_an_estimator_takes_it_and_leaves_omega_alone():
    case, omega, alpha = problem()
    before = {name: leaf.clone() for name, leaf in omega.items()}
    found = Amended(0.1, derivatives=ReverseOverForward())(case, omega, alpha)
    expected = Amended(0.1)(case, omega, alpha)
    torch.testing.assert_close(found.implicit, expected.implicit, rtol=1e-12, atol=0)
    assert all(torch.equal(omega[name], before[name]) for name in omega)


def test_products_of_what_does_not_depend_on_omega_are_zero():
    case = BilevelProblem(lambda w, a: w.sum() * a.sum(), lambda w, a: w.sum())
    point = Vector.of(torch.ones(3))
    curvature = ReverseOverForward()(case, point, Vector.of(torch.ones(2)))
    assert torch.equal((curvature.hessian @ point).flat(), torch.zeros(3))
    assert torch.equal((curvature.mixed @ point).flat(), torch.full((2,), 3.0))


def test_batch_norm_in_evaluation_mode_is_affine_and_right():
    torch.manual_seed(1)
    mean, variance = torch.randn(4).double(), torch.rand(4).double() + 0.5
    case, omega, alpha = problem(lambda x: F.batch_norm(x, mean, variance, training=False).tanh())
    at, hyper = Vector.of(omega), Vector.of(alpha)
    v = Vector.of({k: torch.randn_like(x) for k, x in omega.items()})
    exact, found = Autograd()(case, at, hyper), ReverseOverForward()(case, at, hyper)
    assert relative_error(found.hessian @ v, exact.hessian @ v) < 1e-13
    assert relative_error(found.mixed @ v, exact.mixed @ v) < 1e-13


@pytest.mark.parametrize(
    "norm",
    [
        lambda x: F.batch_norm(x, None, None, training=True),
        lambda x: F.layer_norm(x, (4,)),
        lambda x: F.instance_norm(x[None])[0],
    ],
    ids=["batch_norm", "layer_norm", "instance_norm"],
)
def test_norms_that_pytorch_gets_wrong_are_refused(norm):
    case, omega, alpha = problem(norm)
    at = Vector.of(omega)
    curvature = ReverseOverForward()(case, at, Vector.of(alpha))
    with pytest.raises(NotImplementedError, match=r"met (batch|layer|instance)_norm.*Autograd"):
        curvature.hessian @ at


def test_threads_take_turns_in_forward_mode():
    """PyTorch has one level of it for all threads; each thread waits within its first loss."""
    met = threading.Barrier(2)
    waiting = threading.local()

    def inner(w, a):
        if not getattr(waiting, "over", False):
            waiting.over = True
            with suppress(threading.BrokenBarrierError):
                met.wait(timeout=0.2)
        return (w - a).square().sum() + w.prod()

    w = torch.tensor([0.3, 0.7], dtype=torch.float64)

    def product():
        products = ReverseOverForward()(BilevelProblem(inner, inner), Vector.of(w), Vector.of(w))
        return products.hessian @ Vector.of(w)

    with ThreadPoolExecutor(2) as pool:
        found = [task.result().flat() for task in [pool.submit(product) for _ in range(2)]]
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], 2 * w + w.flip(0))


def test_within_forward_mode_of_the_callers_it_says_so():
    case = problem()
    estimator = Amended(0.1, derivatives=ReverseOverForward())
    with (
        forward_ad.dual_level(),
        pytest.raises(UnsupportedDerivativeError, match=r"within forward mode.*Ask for it outside"),
    ):
        estimator(*case)
    with forward_ad.dual_level():
        within = Amended(0.1)(*case).implicit
    assert relative_error(within, estimator(*case).implicit) < 1e-13


TAKEN = {
    "vjp": lambda f, x, ones: functional.vjp(f, x, ones, create_graph=True)[1],
    "jacobian": lambda f, x, ones: functional.jacobian(f, x, create_graph=True),
    "hvp": lambda f, x, ones: functional.hvp(lambda y: f(y).sum(), x, x, create_graph=True)[1],
}
"""Derivatives that a loss takes in ω by `torch.autograd.functional`."""


@pytest.mark.parametrize("name", TAKEN)
def test_a_derivative_in_the_loss_that_would_drop_tangents_is_refused(name):
    """Where reverse mode follows ω it is right; products with B, which does not, are refused."""
    x = torch.linspace(-1, 1, 20, dtype=torch.float64).reshape(5, 4)
    ones = torch.ones(5, dtype=torch.float64)

    def inner(omega, alpha):
        taken = TAKEN[name](lambda w: alpha * (x @ w).tanh(), omega, ones)
        return taken.square().sum() + omega.square().sum()

    at = Vector.of(torch.tensor([0.3, -0.2, 0.5, 1.0], dtype=torch.float64))
    hyper = Vector.of(torch.tensor(0.7, dtype=torch.float64))
    case = BilevelProblem(inner, lambda omega, alpha: omega.sum())
    exact, found = Autograd()(case, at, hyper), ReverseOverForward()(case, at, hyper)
    assert relative_error(found.hessian @ at, exact.hessian @ at) < 1e-13
    assert relative_error(found.mixed.T @ hyper, exact.mixed.T @ hyper) < 1e-13
    with pytest.raises(UnsupportedDerivativeError, match=r"drops tangents.*torch\.func\.vjp"):
        _ = found.mixed @ at


def test_torch_func_takes_the_derivative_instead():
    x = torch.linspace(-1, 1, 20, dtype=torch.float64).reshape(5, 4)

    def inner(omega, alpha):
        _, pulled = torch.func.vjp(lambda w: alpha * (x @ w).tanh(), omega)
        return pulled(torch.ones(5, dtype=torch.float64))[0].square().sum()

    at = Vector.of(torch.tensor([0.3, -0.2, 0.5, 1.0], dtype=torch.float64))
    hyper = Vector.of(torch.tensor(0.7, dtype=torch.float64))
    case = BilevelProblem(inner, lambda omega, alpha: omega.sum())
    exact, found = Autograd()(case, at, hyper), ReverseOverForward()(case, at, hyper)
    assert relative_error(found.mixed @ at, exact.mixed @ at) < 1e-13
