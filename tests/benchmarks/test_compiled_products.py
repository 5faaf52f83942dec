"""The products that compilers are given are the Hessian's, before any compiler sees them."""

import pytest
import torch

from benchmarks.compiled_products import linearised, matrix_products
from bilevel import Autograd, Vector, relative_error
from bilevel.problems import mlp_cleaning


@pytest.mark.filterwarnings("ignore::UserWarning")  # of torch.fx, about its own graph
def test_the_linearised_product_is_that_of_autograd_and_its_matrix_products_are_seen() -> None:
    ready = mlp_cleaning()
    omega, alpha = Vector.of(ready.params).detach(), Vector.of(ready.hyperparams).detach()
    generator = torch.Generator().manual_seed(0)
    v = omega.like(torch.randn(omega.numel, generator=generator, dtype=omega.dtype))
    product = linearised(ready)
    found = Vector(tuple(product(*v.leaves)), omega.treespec)
    assert relative_error(found, Autograd()(ready.problem, omega, alpha).hessian @ v) < 1e-12
    # two layers, each with its tangent forwards and two adjoints backwards, at least
    assert len(matrix_products(product, v.leaves)()) >= 6
