"""The operations are those of DARTS, on any size of image."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from darts.spaces.feature_map import FeatureMap
from darts.spaces.operations import (
    OPERATIONS,
    FactorizedReduce,
    build,
    derived_recipe,
    search_recipe,
)


def apply(operation: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return operation(FeatureMap(x, torch.relu))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_gives_the_same_size_on_odd_and_even_images(name, stride):
    for recipe in (search_recipe(), derived_recipe()):
        operation = build(name, 4, stride, recipe)
        for height in range(1, 8):
            for width in (height, height + 1):
                output = apply(operation, torch.randn(2, 4, height, width))
                assert output.shape == (2, 4, -(-height // stride), -(-width // stride))


WEIGHTS = {  # for 6 channels; a depthwise k×k convolution has 6k², a pointwise one 36
    "none": 0,
    "max_pool_3x3": 0,
    "avg_pool_3x3": 0,
    "skip_connect": 0,
    "sep_conv_3x3": 2 * (6 * 9 + 36),
    "sep_conv_5x5": 2 * (6 * 25 + 36),
    "sep_conv_7x7": 2 * (6 * 49 + 36),
    "dil_conv_3x3": 6 * 9 + 36,
    "dil_conv_5x5": 6 * 25 + 36,
    "conv_7x1_1x7": 2 * 36 * 7,
    "nor_conv_1x1": 36,
    "nor_conv_3x3": 36 * 9,
    "noise": 0,
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_search_operations_have_convolution_weights_only(name):
    weights = sum(p.numel() for p in build(name, 6, 1, search_recipe()).parameters())
    assert weights == WEIGHTS[name]


def test_derived_operations_scale_and_shift_after_convolutions_but_not_after_pools():
    def extra(name: str) -> int:
        count = sum(p.numel() for p in build(name, 6, 1, derived_recipe()).parameters())
        return count - WEIGHTS[name]

    assert extra("sep_conv_3x3") == 2 * 12  # two norms
    assert extra("dil_conv_3x3") == extra("conv_7x1_1x7") == 12
    assert extra("max_pool_3x3") == extra("avg_pool_3x3") == extra("skip_connect") == 0


def test_pools_are_normalised_in_search_only():
    x = torch.randn(4, 3, 6, 6) + 5
    for name in ("max_pool_3x3", "avg_pool_3x3"):
        searched = apply(build(name, 3, 1, search_recipe()), x)
        torch.testing.assert_close(searched.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
        assert apply(build(name, 3, 1, derived_recipe()), x).mean() > 4


def test_average_pool_leaves_the_padding_out():
    ones = torch.ones(1, 1, 5, 5)
    assert torch.equal(apply(build("avg_pool_3x3", 1, 1, derived_recipe()), ones), ones)


def test_max_pool_takes_the_largest_of_nine():
    x = torch.arange(25.0).view(1, 1, 5, 5)
    pooled = apply(build("max_pool_3x3", 1, 2, derived_recipe()), x)
    assert pooled.flatten().tolist() == [6, 8, 9, 16, 18, 19, 21, 23, 24]


@pytest.mark.parametrize("name", ["sep_conv_3x3", "dil_conv_5x5", "conv_7x1_1x7"])
def test_convolutions_begin_with_the_activation_and_end_with_the_norm(name):
    operation = build(name, 4, 1, search_recipe())
    x = torch.randn(8, 4, 6, 6)
    output = apply(operation, x)
    torch.testing.assert_close(output, apply(operation, x.relu()))
    assert output.min() < 0  # no activation after
    torch.testing.assert_close(output.mean((0, 2, 3)), torch.zeros(4), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5", "sep_conv_7x7"])
@pytest.mark.parametrize("stride", [1, 2])
def test_convolutions_on_small_and_odd_maps_are_the_plain_ones(name, stride):
    """Taps left out and pixels picked beforehand change nothing, gradients included."""
    operation = build(name, 3, stride, search_recipe()).double()
    size, dilation = int(name[-1]), 2 if name.startswith("dil") else 1
    weights = list(operation.parameters())
    for height in range(1, 10):
        x = torch.randn(4, 3, height, height + 1, dtype=torch.float64)

        def plain(x: torch.Tensor, stride: int, depthwise, pointwise) -> torch.Tensor:
            padding = dilation * (size // 2)
            x = F.conv2d(x.relu(), depthwise, None, stride, padding, dilation, groups=3)
            return F.batch_norm(F.conv2d(x, pointwise), None, None, training=True)

        expected = plain(x, stride, *weights[:2])
        if len(weights) == 4:
            expected = plain(expected, 1, *weights[2:])
        found = apply(operation, x)
        torch.testing.assert_close(found, expected)
        gradients = zip(
            torch.autograd.grad(found.pow(3).sum(), weights),
            torch.autograd.grad(expected.pow(3).sum(), weights),
            strict=True,
        )
        for a, b in gradients:
            torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


def test_separable_convolution_takes_its_stride_in_the_first_half():
    operation = build("sep_conv_5x5", 4, 2, search_recipe())
    strides = [m.stride[0] for m in operation.modules() if isinstance(m, nn.Conv2d)]
    assert strides == [2, 1, 1, 1]


def test_dilated_convolution_reaches_twice_as_far():
    operation = build("dil_conv_3x3", 1, 1, derived_recipe()).eval()
    impulse = torch.zeros(1, 1, 9, 9)
    impulse[0, 0, 4, 4] = 1
    reached = apply(operation, impulse)[0, 0].nonzero()
    assert set(reached.flatten().tolist()) == {2, 4, 6}


@pytest.mark.parametrize("size", [(6, 8), (2, 2)])
def test_factorized_reduce_is_the_original_on_even_sizes(size):
    """Two strided 1×1 convolutions; the second sees the image without its first row and column."""
    reduce = FactorizedReduce(3, 4, search_recipe()).double()
    x = torch.randn(5, 3, *size, dtype=torch.float64)
    straight = F.conv2d(x.relu(), reduce.straight.weight, stride=2)
    shifted = F.conv2d(x.relu()[:, :, 1:, 1:], reduce.shifted.weight, stride=2)
    expected = F.batch_norm(torch.cat([straight, shifted], 1), None, None, training=True)
    torch.testing.assert_close(apply(reduce, x), expected)


def test_factorized_reduce_reads_zeros_past_odd_ends():
    """On 3 pixels the shifted half reads pixel 1, then the padding: never pixel 2."""
    reduce = FactorizedReduce(1, 2, derived_recipe()).eval()
    x = torch.ones(1, 1, 3, 3)
    shifted = apply(reduce, x)[0, 1]
    assert (shifted != 0).tolist() == [[True, False], [False, False]]


def test_factorized_reduce_refuses_an_odd_number_of_channels():
    with pytest.raises(ValueError, match=r"to 5 channels.*even"):
        FactorizedReduce(4, 5, search_recipe())


def test_unknown_operation_is_refused():
    with pytest.raises(ValueError, match=r"unknown operation 'sep_conv_9x9'; known are none,"):
        build("sep_conv_9x9", 4, 1, search_recipe())


def test_stride_three_is_refused():
    with pytest.raises(ValueError, match=r"'skip_connect' at stride 3"):
        build("skip_connect", 4, 3, search_recipe())


def test_activation_of_a_feature_map_is_computed_once():
    calls = []

    def activation(x: torch.Tensor) -> torch.Tensor:
        calls.append(x)
        return x.relu()

    state = FeatureMap(torch.randn(2, 4, 4, 4), activation)
    for name in ("dil_conv_3x3", "dil_conv_5x5", "conv_7x1_1x7"):
        build(name, 4, 1, search_recipe())(state)
    assert len(calls) == 1


def test_noise_is_standard_normal_whatever_its_input_and_layout():
    noise = build("noise", 3, 2, derived_recipe())
    x = torch.full((8, 3, 32, 32), 7.0)
    torch.manual_seed(1)
    first = apply(noise, x)
    torch.manual_seed(1)
    again = apply(noise, x.to(memory_format=torch.channels_last) * 2)
    assert torch.equal(first, again)
    assert first.shape == (8, 3, 16, 16)
    assert abs(first.mean()) < 4 / first.numel() ** 0.5
    assert 0.95 < first.std() < 1.05
