"""How far one direction is from another: the angle, and the error relative to the truth."""

import math

from bilevel.vector import Tree, Vector


def angle(a: Tree, b: Tree) -> float:
    """The angle between two directions in degrees, in [0, 180]; accurate near 0 and 180 too.

    Args:
        a: a pytree of tensors or a `Vector`.
        b: the same structure.

    Raises:
        ValueError: one of them is zero or not finite, so that there is no angle; or structures or
            shapes differ.
    """
    first, second = _alike("angle", a, b)
    lengths = float(first.norm()), float(second.norm())
    if not all(0 < length < math.inf for length in lengths):
        raise ValueError(
            f"no angle between vectors of norm {lengths[0]:.3g} and {lengths[1]:.3g}: both must be "
            "non-zero and finite. A first-order estimate has no implicit term; compare totals."
        )
    first, second = first / lengths[0], second / lengths[1]
    # Kahan: 2 atan2(|u − w|, |u + w|) loses no digits where arccos does
    apart, together = float((first - second).norm()), float((first + second).norm())
    return math.degrees(2 * math.atan2(apart, together))


def relative_error(estimate: Tree, reference: Tree) -> float:
    """‖estimate − reference‖ / ‖reference‖.

    Raises:
        ValueError: the reference is zero or not finite, or structures or shapes differ.
    """
    found, truth = _alike("relative_error", estimate, reference)
    length = float(truth.norm())
    if not 0 < length < math.inf:
        raise ValueError(f"no relative error against a reference of norm {length:.3g}.")
    return float((found - truth).norm()) / length


def _alike(function: str, a: Tree, b: Tree) -> tuple[Vector, Vector]:
    """Both as vectors, refused where coordinates of one have no partner in the other."""
    first, second = Vector.of(a), Vector.of(b)
    if not first.fits(second):
        raise ValueError(
            f"{function}() compares points of one structure; these have {first.shapes()} and "
            f"{second.shapes()}. Pass both in the structure of α, or of ω."
        )
    return first, second
