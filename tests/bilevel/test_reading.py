"""Numbers left on the device scale, divide and clip by the same bits as numbers that were read."""

import pytest
import torch

from bilevel import CentralDifference, Vector
from bilevel.alternation import inner_step
from bilevel.reading import at_most, finite, left_on_device, ratio, read
from tests.quadratics import nested, with_spectrum

LENGTHS = torch.rand(200, generator=torch.Generator().manual_seed(0)) * 10


def test_a_number_is_read_and_within_it_is_left() -> None:
    x = torch.tensor(1.5)
    assert read(x) == 1.5
    assert isinstance(read(x), float)
    with left_on_device():
        assert isinstance(read(x), torch.Tensor)
        assert read(x).dtype == torch.float64
    assert isinstance(read(x), float)
    assert finite(1.0)
    assert not finite(float("nan"))


def test_vectors_scale_by_the_same_bits() -> None:
    """By quotients in float64 that are rounded to float32 once, in both."""
    v = Vector.of({"a": torch.randn(50), "b": torch.randn(3, 4)})
    for length in LENGTHS:
        number = read(length)
        with left_on_device():
            left = read(length)
        for a, b in (
            (ratio(0.1, number, 1.0) * v, ratio(0.1, left, 1.0) * v),
            (v / (2 * number), v / (2 * left)),
            (at_most(number, 5.0) * v, at_most(left, 5.0) * v),
        ):
            assert all(torch.equal(x, y) for x, y in zip(a.leaves, b.leaves, strict=True))


def test_a_ratio_to_nothing_is_what_was_named() -> None:
    assert ratio(0.1, 0.0, 7.0) == 7.0
    with left_on_device():
        assert ratio(0.1, read(torch.tensor(0.0)), 7.0).item() == 7.0


def test_a_difference_along_nothing_is_nothing() -> None:
    case = nested(3)
    omega, alpha = Vector.of(case.omega), Vector.of(case.alpha)
    with left_on_device():
        image = CentralDifference()(case.problem, omega, alpha).hessian @ omega.zeros_like()
    assert all(torch.equal(leaf, torch.zeros_like(leaf)) for leaf in image.leaves)


@pytest.mark.parametrize("clip", [0.1, 100.0, None])
def test_an_inner_step_is_clipped_alike(clip: float | None) -> None:
    moved = []
    for mode in (False, True):
        case = with_spectrum(5, [1.0, 2.0, 9.0])
        omega = torch.ones(3, dtype=torch.float64).requires_grad_()
        inner = torch.optim.SGD([omega], lr=0.1)
        if mode:
            with left_on_device():
                loss, length = inner_step(case.problem, omega, case.alpha, inner=inner, clip=clip)
        else:
            loss, length = inner_step(case.problem, omega, case.alpha, inner=inner, clip=clip)
        moved.append((omega.detach(), float(loss), float(length)))
    assert torch.equal(moved[0][0], moved[1][0])
    assert moved[0][1:] == moved[1][1:]
