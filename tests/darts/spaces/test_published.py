"""The typed-in genotypes say what their sources say."""

import json

import pytest

from darts.spaces import S1, Genotype
from darts.spaces.published import PUBLISHED
from tests.darts.published_file import published_file

OUTSIDE_S1 = {  # five nodes, operations that DARTS lacks, a choice of none
    "NASNet",
    "AmoebaNet",
    "ENAS_trojanzoo",
    "PNASNet",
    "SNAS_aggressive",
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_genotype_lies_in_s1_unless_known_not_to(name):
    genotype = PUBLISHED[name].genotype
    if name in OUTSIDE_S1:
        with pytest.raises(ValueError, match="'s1'"):
            genotype.require(S1)
    else:
        genotype.require(S1)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_genotype_names_its_source(name):
    assert PUBLISHED[name].source


def test_published_genotypes_are_those_of_the_collected_file():
    content = json.loads(published_file().read_text())
    assert set(PUBLISHED) == set(content)
    for name, entry in content.items():
        assert PUBLISHED[name].genotype == Genotype.from_dict(entry["genotype"])
        for size, key in (
            (PUBLISHED[name].cifar, "cifar_C36_L20"),
            (PUBLISHED[name].imagenet, "imagenet_C48_L14"),
        ):
            assert (size is None) == (key not in entry)
            if size is not None:
                figures = entry[key]
                assert size.params_millions == figures["params_M"]
                assert size.params_with_auxiliary_millions == figures["params_with_aux_M"]
                assert size.multiply_adds_millions == figures["madds_M"]
                assert size.params_100_classes_millions == figures.get("params_cifar100_M")
