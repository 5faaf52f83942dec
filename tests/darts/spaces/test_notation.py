"""Genotypes as text: read without being evaluated, and written so that they read back equal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darts.methods.random_search import random_genotype
from darts.spaces import SPACES, Space
from darts.spaces.arrangement import OnePerCell
from darts.spaces.nasbench201 import from_string
from darts.spaces.notation import genotype_from_text, genotype_to_text
from darts.spaces.published import DARTS_V2, PUBLISHED

AS_DARTS_PRINTS_IT = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), "
    "('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), "
    "('dil_conv_3x3', 2)], normal_concat=range(2, 6), reduce=[('max_pool_3x3', 0), "
    "('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=range(2, 6))"
)


@pytest.mark.parametrize("before", ["", "DARTS_V2 = ", "\n  "])
def test_what_darts_prints_is_read(before):
    assert genotype_from_text(before + AS_DARTS_PRINTS_IT) == DARTS_V2


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_is_written_reads_back(name):
    genotype = PUBLISHED[name].genotype
    assert genotype_from_text(genotype_to_text(genotype)) == genotype


EDGES = tuple((source, target) for target in (2, 3, 4) for source in range(target))
OF_OTHER_SHAPES = (
    *(Space(f"keep-{k}", ("none", "skip_connect"), 3, EDGES, keep_edges=k) for k in (1, 2, None)),
    Space("one each", ("skip_connect",), 3, EDGES, keep_edges=2, arrangement=OnePerCell(4)),
)


@given(space=st.sampled_from((*SPACES.values(), *OF_OTHER_SHAPES)), seed=st.integers(0, 2**31))
def test_every_genotype_of_every_space_reads_back_equal(space, seed):
    genotype = random_genotype(space, seed)
    text = genotype_to_text(genotype)
    assert "\n" not in text
    assert genotype_from_text(text) == genotype


def test_a_cell_of_nasbench201_is_written_as_the_benchmark_does():
    text = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|none~1|none~2|"
    assert genotype_to_text(from_string(text)) == text


def test_what_is_written_is_what_darts_has_in_its_source():
    expected = AS_DARTS_PRINTS_IT.replace("range(2, 6)", "[2, 3, 4, 5]")
    assert genotype_to_text(DARTS_V2) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must hold JSON"),
        ("{'normal': []}", "must hold JSON"),
        ("Genotype(", "is one line of Python"),
        ("Genotype([('skip_connect', 0)])", "found 1 positional arguments"),
        ("Genotype(normal=[], **more)", "found 0 positional arguments"),
        ("Genotype(normal=__import__('os').system('true'))", "found a Call in line 1, column 17"),
        ("Genotype(normal=range(0, 10**9))", "found a BinOp"),
        ("Genotype(normal=range(0, 1000000000))", "found a Call"),
        ("Genotype(normal=[('skip_connect', -1)])", "found a UnaryOp"),
        ("Genotype(normal=[('warp', 0), ('warp', 1)], normal_concat=[2])", "unknown operation"),
        ("Genotype(normal=[('skip_connect', 0)])", "two entries"),
        ("import os; Genotype()", "found 2 statements"),
        ("a\0b", "must hold JSON"),
        ("Genotype\0", "is one line of Python"),
        ("print(Genotype)", "is one call"),
    ],
)
def test_anything_else_is_refused_and_not_evaluated(text, message):
    with pytest.raises(ValueError, match=message):
        genotype_from_text(text)
