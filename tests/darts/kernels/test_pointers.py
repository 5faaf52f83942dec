"""What native code is given is looked at first: sizes, layout, type and device of every tensor."""

import pytest
import torch

from darts.kernels import NodeSpec, Running, Term, Unit, evaluated, kernels, native, node
from darts.kernels.native import Given, Gradients

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


def given(sources, parameters=(), tangents=None):
    return Given(TWO, sources, torch.ones(2, dtype=torch.float64), parameters, tangents)


def test_a_tangent_of_another_size_is_refused():
    x, weights = maps(2, 3, 4, 4), torch.ones(2, dtype=torch.float64)
    for other in (maps(2, 3, 4, 5), maps(2, 3, 4, 4, dtype=torch.float32)):
        with pytest.raises(ValueError, match=r"native kernels read maps of \(2, 3, 4, 4\)"):
            given([x, x], tangents=([x, other], weights, []))
    with pytest.raises(ValueError, match=r"native kernels read weights of \(2,\)"):
        given([x, x], tangents=([x, x], weights[:1], []))


def test_other_layouts_are_refused_and_not_read():
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    for wrong in (x, maps(2, 3, 4, 8)[..., ::2], maps(2, 6, 4, 4)[:, ::2]):
        with pytest.raises(ValueError, match="dense, channels last"):
            given([maps(2, 3, 4, 4), wrong])


@pytest.mark.parametrize(
    ("depthwise", "pointwise"),
    [((3, 1, 5, 5), (6, 3, 1, 1)), ((4, 1, 3, 3), (6, 3, 1, 1)), ((3, 1, 3, 3), (6, 4, 1, 1))],
)
def test_weights_of_another_size_are_refused(depthwise, pointwise):
    weights = [torch.randn(shape, dtype=torch.float64) for shape in (depthwise, pointwise)]
    spec, one = NodeSpec((Term(0, units=(Unit(3),)),)), torch.ones(1, dtype=torch.float64)
    with pytest.raises(ValueError, match="native kernels read weights of"):
        Given(spec, [maps(2, 3, 4, 4)], one, weights)
    with pytest.raises(ValueError, match="units have 2 weights; found 1"):
        Given(spec, [maps(2, 3, 4, 4)], one, weights[:1])


def test_adjoints_and_what_was_kept_are_looked_at_too():
    x = maps(2, 3, 4, 4)
    of = given([x, x])
    _, _, outputs, norms = native.forward(of)
    for g, kept in (
        (maps(2, 3, 4, 5), (outputs, norms)),
        (x.contiguous(), (outputs, norms)),
        (x, (outputs, norms[1:])),
        (x, (torch.zeros(16, dtype=torch.float64), norms)),
    ):
        with pytest.raises(ValueError, match="native kernels read"):
            Gradients(of, kept, g, with_parameters=False, full=False)
    assert Gradients(of, (outputs, norms), x, with_parameters=False, full=False).sources


def running(*channels, share=0.5):
    return Running([(torch.zeros(c).double(), torch.ones(c).double()) for c in channels], share)


def test_running_statistics_of_other_norms_are_refused_and_stay_as_they_are():
    spec, one = NodeSpec((Term(0), Term(0, False))), torch.ones(2, dtype=torch.float64)
    x, (pair,) = maps(2, 3, 4, 4), running(3).pairs
    for pairs in ([pair, pair], [None, None], [*running(4).pairs, None], [pair]):
        with pytest.raises(ValueError, match=r"running statistics|native kernels read|argument 2"):
            evaluated(spec, [x], one, [], Running(pairs, 0.5))
    assert (pair[0] == 0).all()
    evaluated(spec, [x], one, [], Running([pair, None], 0.5))
    torch.testing.assert_close(pair[0], x.mean((0, 2, 3)) / 2)


def test_the_variance_of_one_value_is_refused():
    spec, one = NodeSpec((Term(0),)), torch.ones(1, dtype=torch.float64)
    with pytest.raises(
        ValueError, match=r"two values per channel or more; found maps \(1, 3, 1, 1"
    ):
        evaluated(spec, [maps(1, 3, 1, 1)], one, [], running(3))
    assert evaluated(spec, [maps(1, 3, 1, 1)], one, [], running(3, share=None)).isfinite().all()
