"""What native code is given is looked at first: sizes, layout, type and device of every tensor."""

import numpy as np
import pytest
import torch

from darts.kernels import NodeSpec, Term, Unit, kernels, node
from darts.kernels.native import Sum, combine, dots, moments, unit_forward

pytestmark = pytest.mark.skipif(kernels().library is None, reason=kernels().reason)
TWO = NodeSpec((Term(0, False), Term(1, False)))


def maps(*shape, dtype=torch.float64):
    return torch.randn(shape, dtype=dtype).contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    "shape", [(4, 3, 8, 8), (4, 3, 1, 1), (4, 6, 4, 4), (2, 3, 4, 4), (4, 3, 4, 5)]
)
@pytest.mark.parametrize("normed", [False, True])
def test_maps_of_two_sizes_are_not_added(shape, normed):
    spec = NodeSpec((Term(0, normed), Term(1, normed)))
    for sources in ([maps(4, 3, 4, 4), maps(*shape)], [maps(*shape), maps(4, 3, 4, 4)]):
        with pytest.raises(ValueError, match=r"maps of one size: found \(") as error:
            node(spec, sources, torch.ones(2, dtype=torch.float64), [])
        assert str(shape) in str(error.value)


def test_an_operation_that_forgets_its_stride_is_not_added():
    spec = NodeSpec((Term(0, units=(Unit(3, 2),)), Term(0, False)))
    weights = [maps(3, 1, 3, 3).contiguous(), maps(3, 3, 1, 1).contiguous()]
    with pytest.raises(ValueError, match="maps of one size"):
        node(spec, [maps(2, 3, 8, 8)], torch.ones(2, dtype=torch.float64), weights)


def test_a_tangent_of_another_size_is_refused():
    x = maps(2, 3, 4, 4)
    for other in (maps(2, 3, 4, 5), maps(2, 3, 4, 4, dtype=torch.float32)):
        with pytest.raises(ValueError, match="maps of one size"):
            moments(x, other)
        with pytest.raises(ValueError, match="maps of one size"):
            dots(x, [x], other, 1)


def test_other_layouts_are_refused_and_not_read():
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    for wrong in (x, maps(2, 3, 4, 8)[..., ::2], maps(2, 6, 4, 4)[:, ::2]):
        with pytest.raises(ValueError, match="dense, channels last"):
            moments(wrong, None)


@pytest.mark.parametrize(
    ("depthwise", "pointwise"),
    [((3, 1, 5, 5), (6, 3, 1, 1)), ((4, 1, 3, 3), (6, 3, 1, 1)), ((3, 1, 3, 3), (6, 4, 1, 1))],
)
def test_weights_of_another_size_are_refused(depthwise, pointwise):
    weights = [torch.randn(shape, dtype=torch.float64) for shape in (depthwise, pointwise)]
    with pytest.raises(ValueError, match="native kernels read weights of"):
        unit_forward(Unit(3), maps(2, 3, 4, 4), None, None, weights, None)


def test_scales_of_another_number_of_maps_are_refused():
    x = maps(2, 3, 4, 4)
    for scales in (np.ones((2, 3)), np.ones((4, 3)), np.ones((3, 2))):
        with pytest.raises(ValueError, match="native kernels read an array"):
            combine([x, x], Sum(torch.empty_like(x), scales))
    with pytest.raises(ValueError, match="first 3 of 1"):
        dots(x, [x], x, 3)
