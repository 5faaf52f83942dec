"""P(zᵀSz < 0): symmetric forms, scaling, refusal, and Imhof's integral as another derivation."""

import numpy as np
import pytest
from scipy.integrate import quad

from proofs_checks.gaussian_form import form_eigenvalues, negative_probability


def by_imhof(values: np.ndarray) -> float:
    """½ − (1/π) ∫ sin(½ Σ arctan λu)/(u Π(1 + λ²u²)^¼) du (Imhof 1961): good to 10⁻⁸ absolute."""

    def integrand(u: float) -> float:
        angle = np.arctan(values * u).sum() / 2
        return float(np.sin(angle) / (u * np.prod((1 + (values * u) ** 2) ** 0.25)))

    return 0.5 - quad(integrand, 0, np.inf, limit=500, epsabs=1e-9)[0] / np.pi


@pytest.mark.parametrize("seed", range(6))
def test_it_agrees_with_imhofs_integral(seed):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(8) + 0.3 * seed
    assert negative_probability(values) == pytest.approx(by_imhof(values), abs=1e-7)


@pytest.mark.parametrize("seed", range(4))
def test_both_signs_add_up_to_one_and_scale_does_not_matter(seed):
    values = np.random.default_rng(seed).standard_normal(6)
    chance = negative_probability(values)
    assert chance + negative_probability(-values) == pytest.approx(1, abs=1e-12)
    assert negative_probability(1e6 * values) == pytest.approx(chance, rel=1e-12)


def test_forms_of_one_sign_and_the_zero_form():
    assert negative_probability(np.array([1.0, 2.0])) == 0
    assert negative_probability(np.array([-1.0, 0.0])) == 1
    with pytest.raises(ValueError, match="all eigenvalues are 0"):
        negative_probability(np.zeros(3))


def test_half_the_eigenvalues_are_negative_where_the_rows_are_independent():
    rng = np.random.default_rng(0)
    mixed, values = rng.standard_normal((5, 30)), np.geomspace(1, 50, 30)
    found = form_eigenvalues(mixed * values, mixed / values)
    assert (found > 0).sum() == (found < 0).sum() == 5
