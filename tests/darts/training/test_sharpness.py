"""The largest eigenvalue of ∇²_αα L_val, beside a dense Hessian."""

import pytest
import torch

from bilevel import BilevelProblem
from darts.training.searching import Searching
from darts.training.sharpness import largest_eigenvalue
from tests.darts.training.tiny import images, search_config


def test_the_eigenvalue_of_a_quadratic_is_known():
    basis, _ = torch.linalg.qr(torch.randn(8, 8, dtype=torch.float64))
    matrix = basis @ torch.diag(torch.tensor([-9.0, -1, 0, 1, 2, 3, 4, 5.0]).double()) @ basis.T

    def outer(omega, alpha):
        flat = torch.cat([alpha["a"], alpha["b"]])
        return flat @ matrix @ flat / 2 + (omega * flat[0]).sum()

    problem = BilevelProblem(outer, outer)
    point = {"a": torch.ones(3).double(), "b": torch.zeros(5).double()}
    found = largest_eigenvalue(problem, torch.ones(2).double(), point, 0)
    assert found == pytest.approx(5.0, rel=1e-10)


def test_the_eigenvalue_of_a_supernet_is_that_of_its_dense_hessian():
    config = search_config()
    data = config.halves(images())
    searching = Searching(config, data)
    problem = searching.adapter.problem(*searching.batches.at(0, 0), 1)
    omega = {name: value.detach() for name, value in searching.omega.items()}
    shapes = {name: value.shape for name, value in searching.alpha.items()}

    def loss(flat):
        parts = flat.split([shape.numel() for shape in shapes.values()])
        alpha = {name: p.view(shapes[name]) for name, p in zip(shapes, parts, strict=True)}
        return problem.outer(omega, alpha)

    flat = torch.cat([value.detach().flatten() for value in searching.alpha.values()])
    dense = torch.linalg.eigvalsh(torch.autograd.functional.hessian(loss, flat))
    found = largest_eigenvalue(problem, searching.omega, searching.alpha, 0)
    assert found == pytest.approx(float(dense[-1]), rel=1e-3)  # float32
