"""Genotypes as text: read without being evaluated, and written so that they read back equal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darts.methods.random_search import random_genotype
from darts.spaces import NASBENCH201, SPACES, Space
from darts.spaces.macro_architecture import OnePerCell
from darts.spaces.nasbench201 import from_string
from darts.spaces.notation import (
    NOTATIONS,
    genotype_from_text,
    genotype_in,
    genotype_to_text,
)
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
    Space("one each", ("skip_connect",), 3, EDGES, keep_edges=2, macro_architecture=OnePerCell(4)),
)


@given(space=st.sampled_from((*SPACES.values(), *OF_OTHER_SHAPES)), seed=st.integers(0, 2**31))
def test_every_genotype_of_every_space_reads_back_equal(space, seed):
    genotype = random_genotype(space, seed)
    text = genotype_to_text(genotype)
    assert "\n" not in text
    assert genotype_from_text(text) == genotype
    held = {"json"}
    for notation in NOTATIONS:
        try:
            written = genotype_in(genotype, notation)
        except ValueError:
            continue
        held.add(notation)
        assert genotype_from_text(written) == genotype
    two_kinds = space.cell_kinds == ("normal", "reduce")
    assert ("nested" in held) == two_kinds
    assert ("darts" in held) == (two_kinds and set(space.kept_inputs) == {2})
    assert ("nasbench201" in held) == (space == NASBENCH201)


def test_a_notation_refuses_what_it_cannot_hold():
    ones = genotype_from_text(
        '{"normal": {"inputs": 2, "nodes": [[["skip_connect", 0]]], "concat": [2]}, '
        '"reduce": {"inputs": 2, "nodes": [[["noise", 1]]], "concat": [2]}}'
    )
    for notation, message in (
        ("darts", "node 1 of the cell 'normal' takes 1. Write it as nested, or json"),
        ("nasbench201", "genotype has cells"),
        ("yaml", "No notation 'yaml'; there are darts, nested, nasbench201, json"),
    ):
        with pytest.raises(ValueError, match=message):
            genotype_in(ones, notation)
    bench = from_string("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    with pytest.raises(ValueError, match="has the cells cell, of 1 inputs"):
        genotype_in(bench, "nested")


def test_a_cell_of_nasbench201_is_written_as_the_benchmark_does():
    text = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|none~1|none~2|"
    assert genotype_to_text(from_string(text)) == text


def test_what_is_written_is_what_darts_has_in_its_source():
    expected = AS_DARTS_PRINTS_IT.replace("range(2, 6)", "[2, 3, 4, 5]")
    assert genotype_to_text(DARTS_V2) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no genotype in this text"),
        ("{'normal': [}", "must hold JSON"),
        ("{'normal': []}", "two entries"),
        ("Genotype(", "is one call of Python"),
        ('{"normal": [], "normal": []}', "'normal' stands twice"),
        ("[[('skip_connect', 0), ('skip_connect', 1)]]", "does not say what cells"),
        ("Genotype(normal=[('skip_connect', 0)] * 2)", "found a BinOp"),
        ("Genotype([('skip_connect', 0)])", "found 1 positional arguments"),
        ("Genotype(normal=[], **more)", "found 0 positional arguments"),
        ("Genotype(normal=__import__('os').system('true'))", "found a Call in line 1, column 17"),
        ("Genotype(normal=range(0, 10**9))", "found a BinOp"),
        ("Genotype(normal=range(0, 1000000000))", "found a Call"),
        ("Genotype(normal=[('skip_connect', -1)])", "found a UnaryOp"),
        ("Genotype(normal=[('warp', 0), ('warp', 1)], normal_concat=[2])", "unknown operation"),
        ("Genotype(normal=[('skip_connect', 0)])", "two entries"),
        ("import os; Genotype()", "two entries"),
        ("a\0b", "no genotype in this text"),
        ("Genotype\0", "no genotype in this text"),
        ("print(Genotype)", "no genotype in this text"),
    ],
)
def test_anything_else_is_refused_and_not_evaluated(text, message):
    with pytest.raises(ValueError, match=message):
        genotype_from_text(text)
