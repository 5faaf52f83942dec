"""Public libraries on the benchmark's problems, each by its own conjugate gradients of 20 steps."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bilevel.problems import ReadyProblem
from bilevel.problems.digits import digits, with_wrong_labels
from bilevel.vector import Vector

Call = Callable[[], Tensor]


@dataclass(frozen=True)
class Peer:
    """A library, and how it gives g₂ with a number of CG steps.

    Attributes:
        module: what to import.
        make: (problem at its inner solution, steps) ↦ a call that returns g₂, flat.
    """

    name: str
    package: str
    module: str
    make: Callable[[ReadyProblem, int], Call]
    problems: tuple[str, ...] = ("logreg", "mlp_clean")

    def missing(self) -> str | None:
        """Why it cannot be run here; None if it can."""
        if importlib.util.find_spec(self.module) is None:
            return f"{self.package} is not installed"
        return None


def jaxopt_cg(ready: ReadyProblem, steps: int) -> Call:
    """jaxopt.linear_solve.solve_cg under jit, in float64. The losses are written anew in JAX."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    from jaxopt.linear_solve import solve_cg

    jax.config.update("jax_enable_x64", True)
    inner, outer = _jax_losses(ready, jnp, jax)
    omega = jax.tree.map(lambda leaf: jnp.asarray(leaf.numpy()), ready.params)
    alpha = jnp.asarray(ready.hyperparams.numpy())

    @jax.jit
    def implicit(w: Any, a: Any) -> Any:
        gradient = jax.grad(inner)
        slope = jax.grad(outer)(w, a)
        _, product = jax.linearize(lambda x: gradient(x, a), w)
        q = solve_cg(product, slope, maxiter=steps, tol=0.0)
        _, pullback = jax.vjp(lambda x: gradient(w, x), a)
        return -pullback(q)[0]

    return lambda: torch.from_numpy(np.array(implicit(omega, alpha)))


def jax_products(ready: ReadyProblem, count: int) -> Call:
    """`count` Hessian products in one jitted loop on one linearisation, and that as well."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    inner, _ = _jax_losses(ready, jnp, jax)
    omega = jax.tree.map(lambda leaf: jnp.asarray(leaf.numpy()), ready.params)
    alpha = jnp.asarray(ready.hyperparams.numpy())

    @jax.jit
    def repeated(w: Any, a: Any) -> Any:
        _, product = jax.linearize(lambda x: jax.grad(inner)(x, a), w)
        return jax.lax.fori_loop(0, count, lambda _, v: product(v), w)

    return lambda: jax.block_until_ready(repeated(omega, alpha))


def _jax_losses(ready: ReadyProblem, jnp: Any, jax: Any) -> tuple[Any, Any]:
    def cross_entropy(logits: Any, labels: Any) -> Any:
        return -jax.nn.log_softmax(logits)[jnp.arange(len(labels)), labels]

    if ready.sizes == (640, 64):
        first, second = digits(1000, 797, seed=0)
        x, y, xv, yv = (
            jnp.asarray(t.numpy())
            for t in (first.images, first.labels, second.images, second.labels)
        )

        def inner(w: Any, a: Any) -> Any:
            penalty = 0.5 * (jnp.exp(a)[:, None] * w**2).sum()
            return cross_entropy(x @ w, y).mean() + penalty

        return inner, lambda w, a: cross_entropy(xv @ w, yv).mean()
    dirty, clean, _ = digits(500, 500, 797, seed=0)
    noisy, _ = with_wrong_labels(dirty, 0.3, seed=0)
    x, y, xv, yv = (
        jnp.asarray(t.numpy()) for t in (noisy.images, noisy.labels, clean.images, clean.labels)
    )

    def net(w: Any, x: Any) -> Any:
        hidden = jnp.tanh(x @ w["hidden_weight"] + w["hidden_bias"])
        return hidden @ w["weight"] + w["bias"]

    def inner_mlp(w: Any, a: Any) -> Any:
        decay = sum((leaf**2).sum() for leaf in w.values())
        return (jax.nn.sigmoid(a) * cross_entropy(net(w, x), y)).mean() + 0.5 * 5e-3 * decay

    return inner_mlp, lambda w, a: cross_entropy(net(w, xv), yv).mean()


def torchopt_cg(ready: ReadyProblem, steps: int) -> Call:
    """torchopt.linear_solve.solve_cg with products from one retained graph."""
    from torchopt.linear_solve import solve_cg

    def call() -> Tensor:
        at, hyper, slope, gradient = _retained(ready)

        def product(v: Any) -> Any:
            return torch.autograd.grad(gradient, at, v, retain_graph=True)

        q = solve_cg(maxiter=steps, rtol=0.0)(product, slope)
        return -_flat(torch.autograd.grad(gradient, hyper, tuple(q)))

    return call


def curvlinops_cg(ready: ReadyProblem, steps: int) -> Call:
    """curvlinops.CGInverseLinearOperator on an operator of one retained graph."""
    from curvlinops import CGInverseLinearOperator
    from curvlinops._torch_base import PyTorchLinearOperator

    class Hessian(PyTorchLinearOperator):
        SELF_ADJOINT = True

        def __init__(self, at: Any, gradient: Any) -> None:
            shapes = [tuple(leaf.shape) for leaf in at]
            super().__init__(shapes, shapes)
            self.at, self.gradient = at, gradient

        @property
        def device(self) -> torch.device:
            return self.at[0].device

        @property
        def dtype(self) -> torch.dtype:
            return self.at[0].dtype

        def _matmat(self, columns: Any) -> Any:
            count = columns[0].shape[-1]
            images = [
                torch.autograd.grad(
                    self.gradient, self.at, [c[..., k] for c in columns], retain_graph=True
                )
                for k in range(count)
            ]
            return [torch.stack(parts, dim=-1) for parts in zip(*images, strict=True)]

    def call() -> Tensor:
        at, hyper, slope, gradient = _retained(ready)
        inverse = CGInverseLinearOperator(
            Hessian(at, gradient), max_iter=steps, max_tridiag_iter=0, tolerance=0.0, eps=0.0
        )
        q = inverse @ list(slope)
        return -_flat(torch.autograd.grad(gradient, hyper, tuple(q)))

    return call


def hypergrad_cg(ready: ReadyProblem, steps: int) -> Call:
    """hypergrad.approx_hypergrad.conjugate_gradient, which builds its own products."""
    from hypergrad.approx_hypergrad import conjugate_gradient

    problem = ready.problem

    def call() -> Tensor:
        at = tuple(x.detach() for x in Vector.of(ready.params).leaves)
        spec = Vector.of(ready.params).treespec

        def loss(which: Any) -> Any:
            return lambda w, a: which(Vector(tuple(w), spec).tree(), a[0])

        losses = loss(problem.inner), loss(problem.outer)
        return _flat(conjugate_gradient(*losses, at, (ready.hyperparams,), steps, 1.0))

    return call


def _retained(ready: ReadyProblem) -> Any:
    omega, alpha = Vector.of(ready.params).tracked(), Vector.of(ready.hyperparams).tracked()
    outer = ready.problem.outer(omega.tree(), alpha.tree())
    slope = torch.autograd.grad(outer, omega.leaves)
    inner = ready.problem.inner(omega.tree(), alpha.tree())
    gradient = torch.autograd.grad(inner, omega.leaves, create_graph=True)
    return omega.leaves, alpha.leaves, slope, gradient


def _flat(leaves: Any) -> Tensor:
    return torch.cat([leaf.reshape(-1) for leaf in leaves])


PEERS = (
    Peer("jaxopt CG, 20, jitted", "jaxopt", "jaxopt", jaxopt_cg),
    Peer("TorchOpt CG, 20", "torchopt", "torchopt", torchopt_cg),
    Peer("curvlinops CG, 20", "curvlinops-for-pytorch", "curvlinops", curvlinops_cg),
    Peer("hypergrad CG, 20", "hypergrad", "hypergrad", hypergrad_cg),
)
