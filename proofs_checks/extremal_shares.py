"""Instances on which the shares of T10 and T11 are attained: a wrong sign just below them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from math import isqrt
from random import Random

from proofs_checks.definitions import Formulas
from proofs_checks.evidence import Exhibit
from proofs_checks.instances import Instance, Shared
from proofs_checks.rational import Matrix, column, diagonal, dot, identity, matrix, square


def root_below(x: Fraction) -> Fraction:
    """A rational just below √x, to nine digits."""
    return Fraction(isqrt(int(x * 10**18)), 10**9)


def wrong_pair(ratio: Fraction) -> tuple[Matrix, Matrix]:
    """x and a row b with ⟨b, x⟩⟨b, Mx⟩ < 0 for M = diag(1, c), at a share just below T10a's.

    x = (s, 1), b = (s, −1 − ε) with s² just below c(1 + ε): ⟨b, Mx⟩ = s² − c(1 + ε) < 0.
    """
    above = 1 + min(Fraction(1, 1000), (ratio - 1) / 100)
    s = root_below(ratio * above)
    return column(s, 1), column(s, -above)


def share_squared(row: Matrix, x: Matrix) -> Fraction:
    """‖bᵀx‖²/(‖b‖²‖x‖²) of one row."""
    return Fraction(dot(row, x) ** 2 / (square(row) * square(x)))


def beyond_the_limit(formulas: Formulas) -> Exhibit:
    """κ = (5/2)⁴ = 39.06, between (3 + 2√2)² and 49: v a top right singular vector, sign wrong."""
    ratio = Fraction(5, 2) ** 2  # √κ
    mean, half = (ratio + 1 / ratio) / 2, (ratio - 1 / ratio) / 2
    hessian = matrix([mean, half, 0], [half, mean, 0], [0, 0, 1])
    slope = column(Fraction(20, 29), 0, Fraction(21, 29))
    mixed = Matrix(slope.T.entries + matrix([0, 1, 0]).entries)
    truth = formulas.implicit(hessian, mixed, slope)
    product = dot(formulas.amended(hessian, mixed, slope, 1), truth)
    return Exhibit(
        {"H": hessian, "B": mixed, "v": slope, "⟨g₂′, g₂⟩": product},
        {
            "‖B‖ = 1": mixed @ mixed.T == identity(2),
            "the share is 1": square(mixed @ slope) == square(slope) == 1,
            "κ is above (3 + 2√2)²": (ratio**2 - 17) ** 2 > 288,
            "s*(κ) says that no share is enough": formulas.slope_share(ratio**2) == 1,
        },
        {"⟨g₂′, g₂⟩ ≥ 0": product >= 0},
    )


def extremal(hessian_root: Fraction, weight: Matrix) -> Instance:
    """H with eigenvalues 1/k, 1, k (k = √κ) and v = (a, 0, b) over the bisector of the ends."""
    k = hessian_root
    mean, half = (k + 1 / k) / 2, (k - 1 / k) / 2
    hessian = matrix([mean, half, 0], [half, mean, 0], [0, 0, 1])
    return Instance(hessian, identity(3), weight, (k, 1 / k, Fraction(1)), identity(3))


def near_the_share(rng: Random, power: int) -> Shared:
    """One row and an x within 10 % of T10a's share for M = H⁻ᵖᵒʷᵉʳ, H = diag(±1, ±1/r).

    With rᵖᵒʷᵉʳ = s², x = (s, 1) and b = (ts, −1): ⟨b, Mx⟩ = (t − 1)s², and the share is T10a's at
    t = 1. Below it the sign is wrong. x is v for power 1 (DARTS, H ≻ 0) and Hv for power 2.
    ‖b‖ is rounded up, so that the share is never overstated.
    """
    s = Fraction(rng.randint(11, 40), 10)
    signs = (1, 1) if power == 1 else (rng.choice((-1, 1)), rng.choice((-1, 1)))
    eigenvalues = (Fraction(signs[0]), signs[1] / s ** (3 - power))
    hessian, x = diagonal(*eigenvalues), column(s, 1)
    row = column(Fraction(rng.randint(90, 110), 100) * s, -1)
    slope = x if power == 1 else hessian.inverse() @ x
    known = Instance(hessian, row.T, slope, eigenvalues, identity(2))
    return Shared(known, root_below(square(row)) + Fraction(1, 10**9))


def near_the_identity(rng: Random) -> Shared:
    """κ near 1 and v where amended needs most: wrong for a share below (κ − 1)/(κ + 1).

    The `extremal` H at v = e₁, and B = (e₂, r), r = (c, 0, d) of length 1: the share is c, and
    ⟨BHv, BH⁻¹v⟩ = c²((k + 1/k)/2)² − ((k − 1/k)/2)², k = √κ.
    """
    k = 1 + Fraction(rng.randint(1, 15), 100)
    t = (k - 1) * Fraction(rng.randint(1, 150), 100)
    mixed = matrix([0, 1, 0], [2 * t / (1 + t**2), 0, (1 - t**2) / (1 + t**2)])
    return Shared(replace(extremal(k, column(1, 0, 0)), mixed=mixed), Fraction(1))


def one_row_is_sharp(formulas: Formulas) -> Exhibit:
    """m = 1, H = diag(1, κ): within 1 % below the share the amended sign is wrong."""
    found: dict[str, bool] = {}
    for condition in (Fraction(4), Fraction(10), Fraction(100)):
        slope, row = wrong_pair(condition)
        hessian, mixed = diagonal(1, condition), row.T
        product = dot(
            formulas.amended(hessian, mixed, slope, 1), formulas.implicit(hessian, mixed, slope)
        )
        share = formulas.one_row_share(condition)
        seen = share_squared(row, slope)
        found[f"κ = {condition}: wrong"] = product < 0
        found[f"κ = {condition}: no lower than 99 % of the share"] = (
            seen > (Fraction(99, 100) * share) ** 2
        )
        found[f"κ = {condition}: below the share"] = seen < share**2
    return Exhibit({"κ": [4, 10, 100]}, {"m = 1": True}, found)


def methods_are_sharp(
    shares: Mapping[str, Callable[[Fraction], Fraction]],
    values: Mapping[str, Callable[[Fraction, Fraction], tuple[Fraction, Fraction]]],
) -> Exhibit:
    """Each method's share is attained within 1 %: M = Hp(H) at its least and largest λp(λ).

    Args:
        shares: what a method claims to need, of κ.
        values: the least and the largest λp(λ) on [μ, L].
    """
    found: dict[str, bool] = {}
    for name, share in shares.items():
        for condition in (Fraction(2), Fraction(4)):
            least, largest = values[name](Fraction(1), condition)
            x, row = wrong_pair(largest / least)
            image = diagonal(least, largest) @ x
            seen, claimed = share_squared(row, x), share(condition)
            found[f"{name}, κ = {condition}: wrong"] = dot(row, x) * dot(row, image) < 0
            found[f"{name}, κ = {condition}: within 1 %"] = (
                (Fraction(99, 100) * claimed) ** 2 < seen < claimed**2
            )
    return Exhibit({"methods": ", ".join(shares)}, {"n = 2, m = 1": True}, found)
