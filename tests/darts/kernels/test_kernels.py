"""Native nodes have the values and derivatives of PyTorch's own operations, up to second order."""

import subprocess
import sys

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import functional as F

from darts.kernels import NodeSpec, Term, Unit, kernels, node
from darts.kernels.library import SWITCH
from darts.spaces.normalization import BatchNorm

needs_compiler = pytest.mark.skipif(kernels().library is None, reason=kernels().reason)

STRIDE_ONE = NodeSpec(
    (
        Term(0),
        Term(0, normed=False),
        Term(0, units=(Unit(3), Unit(3))),
        Term(0, units=(Unit(5), Unit(5))),
        Term(1, units=(Unit(3, dilation=2),)),
        Term(1, units=(Unit(5, dilation=2),)),
        Term(1, units=(Unit(7), Unit(7))),
        Term(1, normed=False),
    )
)
STRIDE_TWO = NodeSpec(
    (
        Term(0, units=(Unit(3, 2), Unit(3))),
        Term(0, units=(Unit(5, 2), Unit(5))),
        Term(1, units=(Unit(3, 2, 2),)),
        Term(1, units=(Unit(5, 2, 2),)),
        Term(1, units=(Unit(7, 2),)),
        Term(1, units=(Unit(3), Unit(3, 2))),
    )
)
POINTWISE = NodeSpec((Term(0, units=(Unit(0),)), Term(1, units=(Unit(0),))))
SIZES = [(4, 7, 5), (16, 8, 9), (36, 5, 5), (10, 1, 2), (6, 6, 6), (3, 4, 4), (6, 5, 5)]


def plain(spec: NodeSpec, sources: list[Tensor], weights: Tensor, parameters: list[Tensor]):
    """The same by PyTorch."""
    left = iter(parameters)
    total = 0
    for weight, term in zip(weights, spec.terms, strict=True):
        x = sources[term.source]
        for unit in term.units:
            x = x.relu()
            if unit.size:
                padding = unit.dilation * (unit.size // 2)
                groups = x.shape[1]
                x = F.conv2d(x, next(left), None, unit.stride, padding, unit.dilation, groups)
            x = F.conv2d(x, next(left))
            x = F.batch_norm(x, None, None, None, None, True, 0.0, spec.eps)
        if term.normed and not term.units:
            x = F.batch_norm(x, None, None, None, None, True, 0.0, spec.eps)
        total = total + weight * x
    return total


def inputs(spec: NodeSpec, channels: int, height: int, width: int, dtype=torch.float64):
    """Two sources, the weights, the parameters: all leaves."""
    widths = (channels, 3 * channels) if spec is POINTWISE else (channels, channels)
    sources = [torch.randn(3, c, height, width, dtype=dtype) for c in widths]
    parameters = []
    for term in spec.terms:
        c = widths[term.source]
        for unit in term.units:
            if unit.size:
                parameters.append(torch.randn(c, 1, unit.size, unit.size, dtype=dtype))
            parameters.append(torch.randn(channels, c, 1, 1, dtype=dtype) / c**0.5)
            c = channels
    weights = torch.randn(len(spec.terms), dtype=dtype)
    leaves = [
        *(x.contiguous(memory_format=torch.channels_last) for x in sources),
        weights,
        *parameters,
    ]
    return [x.requires_grad_() for x in leaves]


def loss_of(function, spec: NodeSpec, leaves: list[Tensor]) -> Tensor:
    z = function(spec, leaves[:2], leaves[2], leaves[3:])
    factors = torch.arange(z.numel(), dtype=z.dtype).cos().view(z.shape)
    return (z * factors).sum() + z.square().mean()


def close(found, expected, tolerance: float) -> None:
    for a, b in zip(found, expected, strict=True):
        assert (a - b).norm() <= tolerance * b.norm(), ((a - b).norm() / b.norm(), a.shape)


@needs_compiler
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(
    "spec", [STRIDE_ONE, STRIDE_TWO, POINTWISE], ids=["stride 1", "stride 2", "pointwise"]
)
def test_node_agrees_with_pytorch_in_every_derivative_up_to_the_second(spec, size):
    """1e-12: ε of float64 times some thousand terms of a sum; nothing else separates the two.

    Both ways to second derivatives: backwards twice, and backwards over forwards.
    """
    torch.manual_seed(0)
    leaves = inputs(spec, *size)
    directions = [torch.randn_like(x) for x in leaves]

    def derivatives(function):
        loss = loss_of(function, spec, leaves)
        gradient = torch.autograd.grad(loss, leaves, create_graph=True)
        return loss, gradient, torch.autograd.grad(gradient, leaves, directions)

    expected, found = derivatives(plain), derivatives(node)
    close(found[:1], expected[:1], 1e-12)
    close(found[1], expected[1], 1e-12)
    close(found[2], expected[2], 1e-12)
    with forward_ad.dual_level():
        duals = [forward_ad.make_dual(x, v) for x, v in zip(leaves, directions, strict=True)]
        slope = forward_ad.unpack_dual(loss_of(node, spec, duals)).tangent
    close(torch.autograd.grad(slope, leaves), expected[2], 1e-12)


@needs_compiler
def test_a_node_on_nodes_agrees_with_pytorch_backwards_over_forwards():
    """The tangents of its sources are then themselves functions of what is tracked."""
    torch.manual_seed(0)
    leaves = inputs(STRIDE_ONE, 4, 6, 6)
    directions = [torch.randn_like(x) for x in leaves]

    def loss(function, points):
        first = function(STRIDE_ONE, points[:2], points[2], points[3:])
        second = function(STRIDE_ONE, [points[0], first], points[2], points[3:])
        third = function(STRIDE_ONE, [first, second], points[2], points[3:])
        return loss_of(function, STRIDE_ONE, [second, third, *points[2:]])

    gradient = torch.autograd.grad(loss(plain, leaves), leaves, create_graph=True)
    expected = torch.autograd.grad(gradient, leaves, directions)
    with forward_ad.dual_level():
        duals = [forward_ad.make_dual(x, v) for x, v in zip(leaves, directions, strict=True)]
        slope = forward_ad.unpack_dual(loss(node, duals)).tangent
    close(torch.autograd.grad(slope, leaves), expected, 1e-11)


@needs_compiler
def test_float32_node_is_the_float64_one_up_to_rounding():
    """1e-5 for float32, whose ε is 1e-7, on a chain of six sums of up to a thousand terms."""
    torch.manual_seed(0)
    exact = inputs(STRIDE_ONE, 16, 8, 8)
    rounded = [x.detach().float().requires_grad_() for x in exact]
    expected = torch.autograd.grad(loss_of(node, STRIDE_ONE, exact), exact)
    found = torch.autograd.grad(loss_of(node, STRIDE_ONE, rounded), rounded)
    close([x.double() for x in found], expected, 1e-5)


@needs_compiler
@pytest.mark.parametrize("tangents", [False, True])
@pytest.mark.parametrize("spec", [POINTWISE, NodeSpec((Term(0), Term(1)))], ids=["units", "norms"])
def test_one_value_a_channel_has_no_norm_as_in_pytorch(spec, tangents):
    sources = [torch.randn(1, 4, 1, 1, dtype=torch.float64) for _ in range(2)]
    count = sum(unit.parameters for term in spec.terms for unit in term.units)
    parameters = [torch.randn(4, 4, 1, 1, dtype=torch.float64) for _ in range(count)]
    weights = torch.ones(2, dtype=torch.float64)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        plain(spec, sources, weights, parameters)
    with forward_ad.dual_level():
        if tangents:
            sources[0] = forward_ad.make_dual(sources[0], torch.ones_like(sources[0]))
        with pytest.raises(ValueError, match=r"two values per channel .* \(1, 4, 1, 1\)"):
            node(spec, sources, weights, parameters)
        with pytest.raises(ValueError, match=r"two values per channel|more than 1 value"):
            BatchNorm(4, affine=False).double()(sources[0])


@needs_compiler
def test_a_sum_without_norms_takes_one_value_a_channel():
    spec = NodeSpec((Term(0, normed=False), Term(0, normed=False)))
    x = torch.randn(1, 4, 1, 1)
    assert torch.equal(node(spec, [x], torch.ones(2), []), 2 * x)


@needs_compiler
def test_tangents_of_given_directions_alone_need_no_gradients_of_weights():
    """With only the sources tracked, the same gradient of the slope as with all tracked."""
    torch.manual_seed(0)
    leaves = inputs(STRIDE_ONE, 4, 6, 6)
    directions = [torch.randn_like(x) for x in leaves]

    def slope_gradient(tracked: int) -> Tensor:
        points = [x.detach().requires_grad_(i < tracked) for i, x in enumerate(leaves)]
        with forward_ad.dual_level():
            duals = [forward_ad.make_dual(x, v) for x, v in zip(points, directions, strict=True)]
            slope = forward_ad.unpack_dual(loss_of(node, STRIDE_ONE, duals)).tangent
        return torch.autograd.grad(slope, points[:2])

    for a, b in zip(slope_gradient(2), slope_gradient(len(leaves)), strict=True):
        assert torch.equal(a, b)


@needs_compiler
def test_bits_do_not_depend_on_the_number_of_threads():
    torch.manual_seed(0)
    leaves = inputs(STRIDE_ONE, 16, 8, 8, torch.float32)
    threads = torch.get_num_threads()
    seen = []
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            seen.append(torch.autograd.grad(loss_of(node, STRIDE_ONE, leaves), leaves))
    finally:
        torch.set_num_threads(threads)
    for a, b in zip(*seen, strict=True):
        assert torch.equal(a, b)


@needs_compiler
def test_nan_is_not_swallowed_by_relu():
    leaves = inputs(STRIDE_ONE, 4, 6, 6)
    leaves[1].data[0, 0, 0, 0] = float("nan")
    assert node(STRIDE_ONE, leaves[:2], leaves[2], leaves[3:]).isnan().any()


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({SWITCH: "off"}, f"{SWITCH}=off"),
        ({"CXX": "/bin/false"}, "could not build"),
        ({"CXX": "/no/such/compiler"}, "could not build"),
        ({"PATH": ""}, "no C++ compiler"),
    ],
    ids=["off", "broken", "missing", "none"],
)
def test_without_a_compiler_the_supernet_runs_in_pytorch(environment, reason, tmp_path):
    script = (
        "import torch; from darts.kernels import kernels, usable;"
        "from darts.networks import Architecture, Supernet; from darts.spaces import S1;"
        "a = Architecture(S1);"
        "print(Supernet(S1, channels=2, cells=1)(torch.randn(2, 3, 8, 8),"
        " a.mixing_weights(a.initial(0))).shape, usable(torch.zeros(1)), kernels().reason)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script],
        env={"XDG_CACHE_HOME": str(tmp_path), "PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert "torch.Size([2, 10]) False" in result.stdout
    assert reason in result.stdout
