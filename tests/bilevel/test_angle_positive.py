"""Eq. 7, ⟨g₂′, g₂⟩ > 0: true under each of six conditions, false without one."""

from __future__ import annotations

from fractions import Fraction

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from bilevel import Vector
from bilevel.estimators import Amended, DartsSecondOrder, Exact, Identity
from tests.quadratics import QuadraticCase, orthogonal, quadratic, roundoff, spectrum

seeds = st.integers(0, 2**31 - 1)
kappas = st.sampled_from([1.5, 10.0, 1e3, 1e5])


def terms(case: QuadraticCase) -> tuple[Vector, Vector]:
    """The amended term at η = 1, and the true one."""
    amended = Amended(eta=1.0)(case.problem, *case.point).implicit
    return Vector.of(amended), Vector.of(Exact()(case.problem, *case.point).implicit)


def assert_angle_positive(case: QuadraticCase, expected: Tensor) -> None:
    """⟨g₂′, g₂⟩ is `expected` ≥ 0 up to rounding: B H v carries n·eps·‖B‖‖H‖‖v‖ of it, B H⁻¹ v
    cond(H) times that of its own length."""
    amended, truth = terms(case)
    norm = torch.linalg.matrix_norm
    inverse = torch.linalg.inv(case.hessian)
    amended_scale = norm(case.mixed, 2) * norm(case.hessian, 2) * case.outer_gradient.norm()
    truth_scale = norm(case.mixed, 2) * norm(inverse, 2) * case.outer_gradient.norm()
    slack = 10 * roundoff(case.hessian) * float(amended_scale * truth_scale)
    assert abs(float(amended.dot(truth)) - float(expected)) <= slack
    assert float(expected) >= 0


def drawn(seed: int, kappa: float) -> tuple[torch.Generator, Tensor, Tensor, int, int]:
    """A generator, an orthogonal basis Q, eigenvalues of H, n and m."""
    generator = torch.Generator().manual_seed(seed)
    n = int(torch.randint(2, 9, (), generator=generator))
    m = int(torch.randint(1, n + 1, (), generator=generator))
    return generator, orthogonal(n, generator), spectrum(n, kappa, generator), n, m


def gaussian(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64)


@given(seeds, kappas)
def test_angle_positive_when_hessian_commutes_with_mixed_gram(seed: int, kappa: float) -> None:
    """T2a. BᵀB and H share eigenvectors: ⟨g₂′, g₂⟩ = ‖Bv‖²."""
    generator, q, eigenvalues, n, m = drawn(seed, kappa)
    weights = gaussian(generator, m).abs()
    mixed = orthogonal(m, generator) @ torch.diag(weights) @ q[:, :m].T
    case = quadratic(q @ torch.diag(eigenvalues) @ q.T, mixed, gaussian(generator, n))
    assert_angle_positive(case, (mixed @ case.outer_gradient).square().sum())


@given(seeds, kappas)
def test_angle_positive_when_outer_gradient_is_an_eigenvector_of_the_hessian(
    seed: int, kappa: float
) -> None:
    """T2b. Hv = λv: ⟨g₂′, g₂⟩ = ‖Bv‖², whatever B is."""
    generator, q, eigenvalues, n, m = drawn(seed, kappa)
    hessian = q @ torch.diag(eigenvalues) @ q.T
    case = quadratic(hessian, gaussian(generator, m, n), 2.5 * q[:, 0])
    assert_angle_positive(case, (case.mixed @ case.outer_gradient).square().sum())


@given(seeds, st.floats(1e-3, 1e3))
def test_angle_positive_when_hessian_is_a_multiple_of_the_identity(seed: int, c: float) -> None:
    """T2c. H = cI: ⟨g₂′, g₂⟩ = ‖Bv‖², whatever B and v are."""
    generator, _, _, n, m = drawn(seed, 10.0)
    hessian = c * torch.eye(n, dtype=torch.float64)
    case = quadratic(hessian, gaussian(generator, m, n), gaussian(generator, n))
    assert_angle_positive(case, (case.mixed @ case.outer_gradient).square().sum())


@given(seeds, st.floats(1e-3, 1e3))
def test_angle_positive_when_the_inner_variable_is_one_number(seed: int, h: float) -> None:
    """T2d. n = 1: ⟨g₂′, g₂⟩ = ‖Bv‖²; the paper's toy example (A.1) is of this kind."""
    generator = torch.Generator().manual_seed(seed)
    m = int(torch.randint(1, 6, (), generator=generator))
    case = quadratic([[h]], gaussian(generator, m, 1), gaussian(generator, 1))
    assert_angle_positive(case, (case.mixed @ case.outer_gradient).square().sum())


@given(seeds, st.floats(1.0, 20.0))
def test_angle_positive_when_both_condition_numbers_are_small(seed: int, kappa: float) -> None:
    """T2e. BᵀB ≻ 0 and (κ_A − 1)/(κ_A + 1) ≤ 2κ/(κ² + 1): the angles of A and H add up to < 90°."""
    generator, q, _, n, _ = drawn(seed, kappa)
    eigenvalues = torch.linspace(1.0, kappa, n, dtype=torch.float64)
    limit = 2 * kappa / (kappa**2 + 1)
    kappa_a = min((1 + limit) / (1 - limit), 1e6) if limit < 1 else 1e6
    weights = torch.linspace(1.0, kappa_a, n, dtype=torch.float64).sqrt()
    mixed = orthogonal(n, generator) @ torch.diag(weights) @ orthogonal(n, generator)
    case = quadratic(q @ torch.diag(eigenvalues) @ q.T, mixed, gaussian(generator, n))
    gram, inverse = mixed.T @ mixed, torch.linalg.inv(case.hessian)
    assert_angle_positive(
        case, case.outer_gradient @ inverse @ gram @ case.hessian @ case.outer_gradient
    )


@given(seeds, kappas)
def test_angle_positive_when_mixed_is_a_scaled_isometry_on_eigenvectors(
    seed: int, kappa: float
) -> None:
    """T2f. range(Bᵀ) is spanned by eigenvectors of H and BᵀB = s²I on it: = ‖Bv‖²."""
    generator, q, eigenvalues, n, m = drawn(seed, kappa)
    scale = 0.1 + gaussian(generator, 1).abs()
    mixed = scale * orthogonal(m, generator) @ q[:, :m].T
    case = quadratic(q @ torch.diag(eigenvalues) @ q.T, mixed, gaussian(generator, n))
    assert_angle_positive(case, (mixed @ case.outer_gradient).square().sum())


def exact_terms(h: list[list[int]], b: list[int], v: list[int]) -> dict[str, Fraction]:
    """BHv, BH⁻¹v and Bv for m = 1, in rational arithmetic: Gauss–Jordan, no floating point."""
    n = len(h)
    rows = [[Fraction(x) for x in row] + [Fraction(v[i])] for i, row in enumerate(h)]
    for i in range(n):
        pivot = next(r for r in range(i, n) if rows[r][i])
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [x / rows[i][i] for x in rows[i]]
        for r in range(n):
            if r != i:
                rows[r] = [x - rows[r][i] * y for x, y in zip(rows[r], rows[i], strict=True)]
    hv = [sum(Fraction(x) * y for x, y in zip(row, v, strict=True)) for row in h]
    return {
        "amended": sum(Fraction(x) * y for x, y in zip(b, hv, strict=True)),
        "true": sum(x * row[-1] for x, row in zip(b, rows, strict=True)),
        "darts": sum(Fraction(x) * y for x, y in zip(b, v, strict=True)),
    }


def test_angle_positive_is_false_in_general() -> None:
    """R1. H = [[2,1],[1,1]] ≻ 0, B = (1 0), v = (0,1): the truth is +1, the amended term −η.

    Leading minors 2 and 1 are positive. In exact arithmetic, then by the estimators themselves.
    """
    exact = exact_terms([[2, 1], [1, 1]], [1, 0], [0, 1])
    assert (-exact["true"], -exact["amended"], exact["darts"]) == (1, -1, 0)
    case = quadratic([[2, 1], [1, 1]], [[1, 0]], [0, 1])
    eta = 0.1
    amended = Amended(eta)(case.problem, *case.point)
    assert amended.implicit.item() == -eta
    assert abs(Exact()(case.problem, *case.point).implicit.item() - 1) <= roundoff(case.hessian)
    assert amended.solve is not None


def test_angle_positive_is_false_where_darts_is_right() -> None:
    """R1 with v = (−1/10, 1), scaled by 10: truth 11, DARTS +ξ, amended −8η."""
    exact = exact_terms([[2, 1], [1, 1]], [1, 0], [-1, 10])
    assert (-exact["true"], -exact["darts"], -exact["amended"]) == (11, 1, -8)
    case = quadratic([[2, 1], [1, 1]], [[1, 0]], [-1, 10])
    assert Exact()(case.problem, *case.point).implicit.item() > 0
    assert Identity(1.0)(case.problem, *case.point).implicit.item() > 0
    assert DartsSecondOrder(1.0)(case.problem, *case.point).implicit.item() > 0
    assert Amended(1.0)(case.problem, *case.point).implicit.item() < 0


def test_angle_positive_holds_for_amended_where_it_fails_for_darts() -> None:
    """R1, the other way round: BH⁻¹v = 15/19, BHv = 5, Bv = −1. Neither estimator dominates."""
    h, b, v = [[5, -2, -2], [-2, 4, 1], [-2, 1, 2]], [1, 2, 2], [-3, -2, 3]
    exact = exact_terms(h, b, v)
    assert exact == {"true": Fraction(15, 19), "amended": 5, "darts": -1}
    case = quadratic(h, [b], v)
    truth = Exact()(case.problem, *case.point).implicit.item()
    assert truth * Amended(1.0)(case.problem, *case.point).implicit.item() > 0
    assert truth * Identity(1.0)(case.problem, *case.point).implicit.item() < 0
