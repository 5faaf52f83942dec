"""NAS-Bench-201: its notation, and networks of the published size."""

import pytest

from darts.networks import Architecture, DerivedNetwork, Supernet
from darts.networks.counting import count_parameters
from darts.spaces import NASBENCH201, Genotype
from darts.spaces.nasbench201 import digits, from_string, to_string
from tests.reference_supernet import BenchSupernet

RESNET = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|none~1|nor_conv_1x1~2|"


def all_of(operation: str) -> str:
    return "+".join(
        "|" + "|".join(f"{operation}~{source}" for source in range(target)) + "|"
        for target in (1, 2, 3)
    )


def test_the_string_survives_a_round_trip():
    genotype = from_string(RESNET)
    assert to_string(genotype) == RESNET
    assert Genotype.from_json(genotype.to_json(), NASBENCH201) == genotype
    assert genotype["cell"].inputs(2) == (
        ("skip_connect", 0),
        ("none", 1),
        ("nor_conv_1x1", 2),
    )
    assert digits(genotype) == "334102"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found ''"),
        ("|nor_conv_3x3~0|+|nor_conv_3x3~0|", "has 2 edges; space 'nasbench201' keeps 6"),
        (RESNET.replace("none~1", "none~x"), r"'\|skip_connect~0\|none~x\|nor"),
        (RESNET.replace("none", "conv_9x9"), "unknown operation 'conv_9x9'"),
        (RESNET.replace("none", "sep_conv_3x3"), "no choice of space 'nasbench201'"),
        (RESNET.replace("none~1", "none~0"), "takes state 0 twice"),
        (RESNET.replace("none~1", "none~3"), "source 3 is out of range"),
        (RESNET[1:], r"'nor_conv_3x3~0\|' is not of the form"),
    ],
)
def test_malformed_strings_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        from_string(text)


@pytest.mark.parametrize(
    ("operation", "published"),
    [("skip_connect", 73_306), ("none", 73_306), ("nor_conv_3x3", 1_531_546)],
)
def test_the_smallest_and_the_largest_network_have_the_published_parameters(operation, published):
    """0.073306 M and 1.531546 M, as the benchmark's API prints them."""
    network = DerivedNetwork(from_string(all_of(operation)), channels=16, cells=15)
    assert count_parameters(network) == published


def test_the_supernet_has_the_parameters_of_the_reference():
    assert count_parameters(Supernet(NASBENCH201, channels=16, cells=15)) == count_parameters(
        BenchSupernet()
    )


def test_genotypes_of_another_space_have_no_digits():
    genotype = Architecture(NASBENCH201).genotype(Architecture(NASBENCH201).initial(0))
    assert len(digits(genotype)) == 6
    with pytest.raises(ValueError, match="space 'nasbench201' has"):
        digits(Genotype.from_dict({"normal": [["none", 0], ["none", 1]], "normal_concat": [2]}))
