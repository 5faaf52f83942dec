"""Exact matrices against SymPy's, which share no code with them."""

from fractions import Fraction
from random import Random

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from proofs_checks.rational import (
    Matrix,
    identity,
    is_definite,
    is_semidefinite,
    matrix,
    negative_direction,
    random_matrix,
    random_rotation,
    root,
)

seeds = st.integers(0, 10**6)


def in_sympy(m: Matrix) -> sympy.Matrix:
    return sympy.Matrix(
        [[sympy.Rational(x.numerator, x.denominator) for x in row] for row in m.entries]
    )


@given(seeds, st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_inverse_adjugate_and_determinant_agree_with_sympy(seed, n):
    m = random_matrix(Random(seed), n, n)
    assert in_sympy(m).det() == m.determinant()
    if m.determinant() != 0:
        assert in_sympy(m).inv() == in_sympy(m.inverse())
        assert m.adjugate().map(lambda x: x / m.determinant()) == m.inverse()


@given(seeds, st.integers(1, 4), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_a_form_is_semidefinite_or_has_a_negative_direction(seed, n, rank):
    rng = Random(seed)
    b = random_matrix(rng, rank, n, size=2)
    assert is_semidefinite(b.T @ b)
    c = random_matrix(rng, n, n, size=2)
    form = c + c.T
    u = negative_direction(form)
    if u is None:
        assert in_sympy(form).is_positive_semidefinite
    else:
        assert (u.T @ form @ u)[0, 0] < 0
    assert is_definite(form) == bool(in_sympy(form).is_positive_definite)


def test_negative_direction_exists_where_the_diagonal_is_zero():
    u = negative_direction(matrix([0, 1], [1, 0]))
    assert u is not None
    assert (u.T @ matrix([0, 1], [1, 0]) @ u)[0, 0] < 0


@given(seeds, st.integers(1, 4))
@settings(max_examples=20, deadline=None)
def test_random_rotations_are_exactly_orthogonal(seed, n):
    q = random_rotation(Random(seed), n)
    assert q.T @ q == identity(n)


def test_a_float_is_refused():
    with pytest.raises(TypeError, match=r"Fraction\('0.5'\)"):
        matrix([0.5])


def test_only_rational_roots_are_given():
    assert root(Fraction(9, 16)) == Fraction(3, 4)
    with pytest.raises(ValueError, match="irrational"):
        root(Fraction(2))
