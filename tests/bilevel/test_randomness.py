"""Random losses are told by any of three global generators, and `replaying` fixes all three."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from bilevel import BilevelProblem, CentralDifference, ReverseOverForward
from bilevel.derivatives import Derivatives
from bilevel.estimators import Amended, FirstOrder
from bilevel.estimators.alerts import RandomLoss

f64 = torch.float64
X = torch.randn(9, 3, dtype=f64, generator=torch.Generator().manual_seed(1))
DRAWS: dict[str, Callable[[], Tensor]] = {
    "PyTorch's": lambda: torch.rand(9, dtype=f64),
    "NumPy's": lambda: torch.from_numpy(np.random.rand(9)),
    "Python's": lambda: torch.tensor([random.random() for _ in range(9)], dtype=f64),
}
OMEGA, ALPHA = torch.ones(3, dtype=f64), torch.zeros(3, dtype=f64)
each_generator = pytest.mark.parametrize("name", DRAWS)


def problem(name: str) -> BilevelProblem:
    def loss(w: Tensor, a: Tensor) -> Tensor:
        return (DRAWS[name]() * (X @ w - 1).square()).mean() + (a.exp() * w.square()).sum()

    return BilevelProblem(loss, loss)


@each_generator
def test_every_estimator_is_told_of_it_and_differences_refuse_it(name: str) -> None:
    for estimator in (FirstOrder(), Amended(0.1)):
        with pytest.warns(RandomLoss, match=r"replaying\(seed\)"):
            estimator(problem(name), OMEGA, ALPHA)
    for how in (CentralDifference(), ReverseOverForward()):
        with pytest.raises(ValueError, match=r"draws random numbers.*replaying\(seed\)"):
            Amended(0.1, derivatives=how)(problem(name), OMEGA, ALPHA)


@each_generator
@pytest.mark.parametrize("how", [CentralDifference(), ReverseOverForward()])
def test_replaying_makes_it_one_loss_and_leaves_the_generators_as_they_were(
    name: str, how: Derivatives
) -> None:
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one, two = (Amended(0.1)(problem(name).replaying(seed), OMEGA, ALPHA) for seed in (3, 4))
        found = Amended(0.1, derivatives=how)(problem(name).replaying(3), OMEGA, ALPHA)
    assert not torch.equal(one.implicit, two.implicit)
    # differences err by some 1e-10 here; another draw by more than 0.01
    assert torch.allclose(found.implicit, one.implicit, rtol=1e-7)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert (np.random.get_state()[1] == before[2]).all()


def test_a_loader_in_a_loss_draws_unless_it_has_a_generator_as_the_remedy_says() -> None:
    def problem(loader: DataLoader) -> BilevelProblem:
        def loss(w: Tensor, a: Tensor) -> Tensor:
            errors = sum((rows @ w - 1).square().sum() for (rows,) in loader)
            return errors / len(X) + (a.exp() * w.square()).sum()

        return BilevelProblem(loss, loss)

    with pytest.warns(RandomLoss, match=r"DataLoader .* give it generator=torch\.Generator\(\)"):
        drawing = Amended(0.1)(problem(DataLoader(TensorDataset(X), 4)), OMEGA, ALPHA)
    loader = DataLoader(TensorDataset(X), 4, generator=torch.Generator())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        still = Amended(0.1)(problem(loader), OMEGA, ALPHA)
    assert torch.equal(drawing.total, still.total)
