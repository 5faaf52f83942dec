"""Two processes, each with half of the batch, get the hypergradient of one with all of it."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch

from bilevel import Autograd, BilevelProblem, CentralDifference
from bilevel.derivatives import ReverseOverForward
from bilevel.distributed import averaged
from bilevel.estimators import HypergradientWarning
from tests.dense import ravel
from tests.estimators import ESTIMATORS, ETA
from tests.groups import on_two_processes

SPLITS = {"equal": 6, "weighted": 4}  # rows of the first rank
f64 = torch.float64


def batch(rows: slice) -> tuple[BilevelProblem, Any, Any]:
    """A convex network on the given rows of a batch of 12; ω nested, α = (log decay, bias)."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return 0.5 * torch.randn(shape, generator=generator, dtype=f64)

    x, y = draw(12, 3), draw(12)
    omega = {"w": draw(3), "shift": draw()}
    alpha = (draw(), draw(3))
    x, y, y_val = x[rows], y[rows], y.flip(0)[rows]

    def predict(w: Any, a: Any) -> torch.Tensor:
        return (x * a[1].sigmoid()) @ w["w"] + w["shift"]

    def inner(w: Any, a: Any) -> torch.Tensor:
        decay = 0.5 * a[0].exp() * (w["w"].square().sum() + w["shift"] ** 2)
        return torch.cosh(predict(w, a) - y).mean() + decay

    def outer(w: Any, a: Any) -> torch.Tensor:
        return (predict(w, a) - y_val).square().mean()

    return BilevelProblem(inner, outer), omega, alpha


def terms(problem: BilevelProblem, omega: Any, alpha: Any) -> dict[str, torch.Tensor]:
    return {
        f"{name} {type(derivatives).__name__}": ravel(
            row.make(ETA, derivatives)(problem, omega, alpha).total
        )[0]
        for name, row in ESTIMATORS.items()
        for derivatives in (Autograd(), CentralDifference(), ReverseOverForward())
    }


def worker(rank: int) -> dict[str, dict[str, torch.Tensor]]:
    """What this rank finds for each split."""
    warnings.simplefilter("ignore", HypergradientWarning)
    found = {}
    for name, first in SPLITS.items():
        problem, omega, alpha = batch(slice(0, first) if rank == 0 else slice(first, 12))
        share = first / 12 if rank == 0 else 1 - first / 12
        joint = averaged(problem, weight=None if name == "equal" else share)
        found[name] = terms(joint, omega, alpha)
    ignoring = averaged(BilevelProblem(lambda w, a: w["w"].sum() * a[0], problem.outer))
    with pytest.raises(ValueError, match=r"ignores 1 of 2 leaves of ω \(\['shift'\]\)"):
        ESTIMATORS["Amended"].make(ETA, Autograd())(ignoring, omega, alpha)
    with pytest.raises(RuntimeError, match="several products at once"):
        ESTIMATORS["Exact"].make(ETA, Autograd(chunk=3))(joint, omega, alpha)
    omega["shift"] = omega["shift"] + rank
    with pytest.raises(ValueError, match="ω differs between ranks"):
        joint.inner(omega, alpha)
    return found


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What both ranks found."""
    return on_two_processes(worker, tmp_path_factory.mktemp("ranks"))


@pytest.mark.filterwarnings("ignore::bilevel.estimators.HypergradientWarning")
@pytest.mark.parametrize("split", SPLITS)
def test_two_processes_give_the_hypergradient_of_the_joint_batch(
    found: list[Any], split: str
) -> None:
    first, second = (one[split] for one in found)
    expected, alone = terms(*batch(slice(None))), terms(*batch(slice(0, SPLITS[split])))
    for key, truth in expected.items():
        assert torch.equal(first[key], second[key]), key
        assert (first[key] - truth).norm() <= 1e-6 * truth.norm(), key
        assert (alone[key] - truth).norm() > 1e-2 * truth.norm(), key
