"""How sharp L_val is in α: the largest eigenvalue of ∇²_αα L_val (Zela et al. 2020, §4.1)."""

import torch

from bilevel import BilevelProblem, Vector
from bilevel.krylov.lanczos import lanczos
from bilevel.linear import LinearOperator
from bilevel.vector import Tree

PRODUCTS = 30
"""Lanczos steps: far more than the leading eigenvalue of such spectra needs."""


def largest_eigenvalue(problem: BilevelProblem, omega: Tree, alpha: Tree, seed: int) -> float:
    """λ_max(∇²_αα L_val) at (ω, α), by at most 30 products, each a gradient of a gradient.

    A lower bound that Lanczos closes in on; exact, to rounding, where α has at most 30 numbers.

    Args:
        problem: a problem whose outer loss is L_val on one batch.
        omega, alpha: the point.
        seed: seed of the first vector.
    """
    at, point = Vector.of(omega).detach(), Vector.of(alpha).tracked()
    with torch.enable_grad():
        value = problem.outer_value(at, point)
        # a network of few cells may have none of a kind: its α is then without influence
        gradient = torch.autograd.grad(
            value, point.leaves, create_graph=True, materialize_grads=True
        )
    used = [index for index, part in enumerate(gradient) if part.requires_grad]

    def product(v: Vector) -> Vector:
        leaves = torch.autograd.grad(
            [gradient[index] for index in used],
            point.leaves,
            [v.leaves[index] for index in used],
            retain_graph=True,
            allow_unused=True,
        )
        return Vector(
            tuple(
                torch.zeros_like(x) if leaf is None else leaf
                for leaf, x in zip(leaves, point.leaves, strict=True)
            ),
            point.treespec,
        )

    operator = LinearOperator(point.detach(), point.detach(), product, product)
    return float(lanczos(operator, PRODUCTS, seed).ritz_values().max())
