"""C by bisection is C by looking at every one, and the mobile setting's where that is known."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import pytest
import torch

from darts.networks.blueprint import Blueprint
from darts.networks.counting import count_parameters
from darts.networks.stem_and_head import IMAGENET
from darts.networks.width import MultiplyAddLimit, channels_within, multiply_adds
from darts.spaces import CellGenotype, Genotype
from darts.spaces.nasbench201 import from_string
from darts.spaces.published import PUBLISHED

ONE_NODE = Genotype(
    tuple(
        CellGenotype(kind, (("sep_conv_3x3", 0), ("skip_connect", 1)), (2,))
        for kind in ("normal", "reduce")
    )
)
SMALL = Blueprint(ONE_NODE, 1, cells=2, classes=10, in_channels=3)
MOBILE = Blueprint(ONE_NODE, 2, cells=2, classes=10, in_channels=3, stem=IMAGENET)
BENCH = Blueprint(
    from_string(
        "|nor_conv_3x3~0|+|nor_conv_1x1~0|skip_connect~1|"
        "+|skip_connect~0|nor_conv_3x3~1|avg_pool_3x3~2|"
    ),
    1,
    cells=3,
    classes=10,
    in_channels=1,
)
cost = cache(multiply_adds)


def scanned(blueprint: Blueprint, image: tuple[int, int], millions: float, most: int) -> int:
    """The largest C of all up to `most` whose network keeps to the limit."""
    step = 2 if blueprint.stem == IMAGENET else 1
    costs = {
        channels: cost(replace(blueprint, channels=channels), image)
        for channels in range(step, most + 1, step)
    }
    assert costs[max(costs)] > millions * 1e6  # or the scan has not gone far enough
    return max(channels for channels, cost in costs.items() if cost <= millions * 1e6)


@pytest.mark.parametrize(
    ("blueprint", "image", "most"),
    [(SMALL, (8, 8), 12), (MOBILE, (64, 64), 24), (BENCH, (8, 12), 12)],
    ids=["small images", "imagenet", "nasbench201"],
)
def test_bisection_finds_what_a_linear_scan_finds(blueprint, image, most):
    step = 2 if blueprint.stem == IMAGENET else 1
    for channels in range(step, most, 5 * step):
        exact = cost(replace(blueprint, channels=channels), image) / 1e6
        for millions in (exact, exact + 1e-6, exact - 1e-6):
            if channels == step and millions < exact:
                continue
            found = channels_within(blueprint, image, MultiplyAddLimit(millions))
            assert found == scanned(blueprint, image, millions, most)


def test_a_limit_is_met_with_equality_and_one_less_is_not():
    exact = multiply_adds(replace(SMALL, channels=7), (8, 8))
    assert channels_within(SMALL, (8, 8), MultiplyAddLimit(exact / 1e6)) == 7
    assert channels_within(SMALL, (8, 8), MultiplyAddLimit((exact - 1) / 1e6)) == 6


def test_the_cost_is_that_of_the_network_and_no_random_number_is_drawn():
    """By hand: a 3×3 convolution of 1 → 12 channels at 8×8, no cells' edges but identities."""
    skips = tuple(
        CellGenotype(kind, (("skip_connect", 0), ("skip_connect", 1)), (2,))
        for kind in ("normal", "reduce")
    )
    blueprint = Blueprint(Genotype(skips), 4, cells=1, classes=10, in_channels=1)
    before = torch.random.get_rng_state()
    found = multiply_adds(blueprint, (8, 8))
    assert torch.equal(torch.random.get_rng_state(), before)
    # with one cell, it reduces: 8 channels at 4×4; its identities are 1×1 convolutions, 4 + 4
    stem, preprocess = 64 * 12 * 9, 2 * 64 * 12 * 8
    reduces, classifier = 2 * 16 * 8 * 8, 8 * 10
    assert found == stem + preprocess + reduces + classifier


@pytest.mark.parametrize(
    ("millions", "message"),
    [
        (0.001, r"keeps to 0.001 M multiply-adds at 8×8: with C = 1, the least, it has 0\.\d+ M"),
        (1e8, r"leaves more than 10,000 channels"),
    ],
)
def test_a_limit_that_fits_no_network_is_refused_with_numbers(millions, message):
    with pytest.raises(ValueError, match=message):
        channels_within(SMALL, (8, 8), MultiplyAddLimit(millions))


@pytest.mark.parametrize("millions", [0.0, -1.0, float("nan"), float("inf")])
def test_a_limit_is_a_positive_number(millions):
    with pytest.raises(ValueError, match="it must be positive"):
        MultiplyAddLimit(millions)


def s2_genotype(separable: Sequence[int]) -> Genotype:
    """S2 with so many separable convolutions in each cell, on the first of its 8 edges."""
    sources = tuple(source for target in range(2, 6) for source in (0, target - 1))
    return Genotype(
        tuple(
            CellGenotype(
                f"cell_{index}",
                tuple(
                    ("sep_conv_3x3" if edge < count else "skip_connect", source)
                    for edge, source in enumerate(sources)
                ),
                (2, 3, 4, 5),
            )
            for index, count in enumerate(separable)
        )
    )


AT_42 = (6, 6, 5, 5, 5, 5, 5, 5, 4, 5, 5, 5, 4, 5, 5, 4, 5, 6, 6, 6)
AT_44 = (3, 4, 4, 4, 4, 4, 5, 5, 5, 5, 4, 4, 4, 5, 5, 5, 4, 4, 4, 4)


@pytest.mark.slow
@pytest.mark.parametrize(("separable", "channels"), [(AT_42, 42), (AT_44, 44)])
def test_the_printed_size_of_the_papers_s2_does_not_fix_its_channels(separable, channels):
    """5.5 M parameters and 590 M multiply-adds: the genotype, which would, is in no text."""
    blueprint = Blueprint(s2_genotype(separable), 2, 20, 1000, 3, IMAGENET)
    assert channels_within(blueprint, (224, 224), MultiplyAddLimit()) == channels
    chosen = replace(blueprint, channels=channels)
    assert round(multiply_adds(chosen, (224, 224)) / 1e6) == 590
    assert round(count_parameters(chosen.build()) / 1e6, 1) == 5.5
    assert multiply_adds(replace(blueprint, channels=channels + 2), (224, 224)) > 640e6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "channels"), [("DARTS_V2", 50), ("PDARTS", 50), ("PC_DARTS_image", 48)]
)
def test_the_mobile_setting_of_published_genotypes(name, channels):
    """At 14 cells and 224×224, with the next width beyond 600 M."""
    blueprint = Blueprint(PUBLISHED[name].genotype, 2, 14, 1000, 3, IMAGENET)
    assert channels_within(blueprint, (224, 224), MultiplyAddLimit()) == channels
    assert multiply_adds(replace(blueprint, channels=channels), (224, 224)) <= 600e6
    assert multiply_adds(replace(blueprint, channels=channels + 2), (224, 224)) > 600e6
