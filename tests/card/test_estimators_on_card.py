"""Every estimator on the device against dense algebra on the CPU, in two dtypes."""

import pytest
import torch

from bilevel import Autograd, CentralDifference, Vector
from bilevel.derivatives import ReverseOverForward
from bilevel.estimators import Amended
from tests.dense import dense, ravel
from tests.estimators import ESTIMATORS, ETA
from tests.quadratics import nested, roundoff

pytestmark = pytest.mark.filterwarnings("ignore::bilevel.estimators.HypergradientWarning")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_equals_the_dense_oracle_on_the_device(card, name, dtype):
    row, there, here = ESTIMATORS[name], nested(7, dtype=dtype, device=card), nested(7, dtype=dtype)
    result = row.make(ETA, Autograd())(there.problem, *there.point)
    oracle = dense(here.problem.inner, here.problem.outer, *here.point)
    expected = row.oracle(oracle, ETA)
    assert expected is not None
    total = Vector.of(result.total)
    assert total.dtype == dtype
    assert total.device.type == torch.device(card).type
    found, _ = ravel(total.tree())
    # as on the CPU: one product loses about n·eps, Exact cond(H) times that
    tolerance = max(10 * roundoff(oracle.hessian), row.tolerance(oracle))
    truth = sum(expected)
    assert (found.cpu() - truth).norm() <= tolerance * (1 + truth.norm())


@pytest.mark.parametrize(
    ("derivatives", "allowed"),
    [(ReverseOverForward(), 1e-9), (CentralDifference(), 1e-8)],
    ids=["reverse over forward", "differences"],
)
def test_other_derivatives_equal_the_oracle_too(card, derivatives, allowed):
    """The step of differences is cbrt(eps), so their error about eps^⅔ = 4e-11 a product."""
    there, here = nested(7, device=card), nested(7)
    found = Amended(ETA, derivatives=derivatives)(there.problem, *there.point)
    oracle = dense(here.problem.inner, here.problem.outer, *here.point)
    truth = oracle.direct + oracle.amended(ETA)
    flat, _ = ravel(Vector.of(found.total).tree())
    assert (flat.cpu() - truth).norm() <= allowed * (1 + truth.norm())
