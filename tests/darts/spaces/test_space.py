"""The sizes that the papers print, and spaces that cannot be."""

import json
import os
import runpy
import shlex
import subprocess
import sys
from itertools import product
from pathlib import Path
from unittest import mock

import pytest
import torch

import darts
from darts.networks import Architecture, DerivedNetwork, Supernet
from darts.spaces import (
    NASBENCH201,
    ROBUST_S1,
    ROBUST_S2,
    ROBUST_S3,
    ROBUST_S4,
    S1,
    S1_FIXED,
    S2,
    CellGenotype,
    Genotype,
    Space,
    TwoKinds,
    operations,
    register_operation,
    register_space,
    registry,
    s2,
    space_named,
)
from tests import documents


def test_s1_has_as_many_genotypes_as_the_paper_prints():
    assert S1.size == (180 * 7**8) ** 2
    assert f"{S1.size:.1e}" == "1.1e+18"
    assert len(S1.edges) == 14
    assert len(S1.operations) == 8


def test_s1_with_fixed_edges_has_as_many_genotypes_as_the_paper_prints():
    assert S1_FIXED.size == 7**16
    assert f"{S1_FIXED.size:.1e}" == "3.3e+13"
    assert len(S1_FIXED.edges) == 8
    assert "none" not in S1_FIXED.operations


SMALL = {
    "operations": ("none", "skip_connect", "max_pool_3x3"),
    "nodes": 2,
    "edges": ((0, 2), (1, 2), (0, 3), (1, 3), (2, 3)),
}
PAIR = ("skip_connect", "max_pool_3x3")
UNEVEN = (PAIR, PAIR[:1], PAIR[:1], PAIR, PAIR)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"keep_edges": 2}, 1 * 2**2 * 3 * 2**2),
        ({"keep_edges": 1}, 2 * 2 * 3 * 2),
        ({"keep_edges": None}, 2**5),
        ({"keep_edges": 2, "keeps_none": True}, 1 * 3**2 * 3 * 3**2),
        ({"keep_edges": 2, "edge_operations": (UNEVEN,)}, 2 * 1 * (1 * 2 + 1 * 2 + 2 * 2)),
    ],
)
def test_size_counts_the_genotypes_that_the_space_accepts(changes, expected):
    """Every cell with two nodes, written down and offered to a space small enough to count."""
    space = Space("small", **(SMALL | {"macro_architecture": _Alone()} | changes))
    accepted = set()
    kept = space.kept_inputs
    for names in product(space.operations, repeat=sum(kept)):
        for sources in product(*[range(2)] * kept[0], *[range(3)] * kept[1]):
            edges = tuple(zip(names, sources, strict=True))
            genotype = Genotype((CellGenotype("normal", edges, (2, 3), kept),))
            try:
                genotype.require(space)
            except ValueError:
                continue
            accepted.add((frozenset(edges[: kept[0]]), frozenset(edges[kept[0] :])))
    assert len(accepted) == space.size == len(space) == expected


class _Alone(TwoKinds):
    """One kind of cell, so that the cells can be counted."""

    kinds = ("normal",)


def test_s2_has_as_many_genotypes_as_the_paper_prints():
    assert S2.size == 2**160
    assert f"{S2.size:.1e}" == "1.5e+48"
    assert len(S2.cell_kinds) == 20
    assert s2(20) == S2
    assert s2(3).size == 2**24
    with pytest.raises(OverflowError, match=r"1.46e\+48 genotypes.*Read its `size`"):
        len(S2)
    assert S2  # though it has no len


def test_nasbench201_has_the_published_number_of_genotypes():
    assert len(NASBENCH201) == NASBENCH201.size == 5**6 == 15_625


@pytest.mark.parametrize("space", [ROBUST_S1, ROBUST_S2, ROBUST_S3, ROBUST_S4])
def test_robust_spaces_leave_two_operations_to_choose_on_every_edge(space):
    """(Zela et al. 2020, §4): (180 · 2⁸)² for each, none not being a choice."""
    assert space.edges == S1.edges
    assert space.size == (180 * 2**8) ** 2
    for kind in space.cell_kinds:
        for row in range(14):
            assert len(space.candidates_of(kind, row)) == 2


def test_a_network_of_s2_has_the_cells_of_the_space():
    with pytest.raises(ValueError, match=r"network of 8 cells asked .* 20 cells of their own"):
        Supernet(S2, cells=8, channels=2)


def test_stages_are_of_equal_depth():
    with pytest.raises(ValueError, match=r"8 cells in 3 stages .* multiple of 3"):
        Supernet(NASBENCH201, cells=8)


def test_nasbench201_takes_the_stem_as_it_is():
    with pytest.raises(ValueError, match=r"stem_multiplier=3 asked .* it has 1·C channels"):
        Supernet(NASBENCH201, cells=3, stem_multiplier=3)


@mock.patch.dict(registry._SPACES)
@mock.patch.dict(operations._TABLE)
def test_a_space_that_a_user_registers_is_found_by_name_and_searched(tmp_path):
    """The lines of docs/OWN_SPACE.md, all but the last, which runs the command line."""
    ((example, _),) = documents.blocks("docs/OWN_SPACE.md")
    assert len([line for line in example.splitlines() if line]) <= 16
    script = tmp_path / "my_space.py"
    script.write_text(example.partition("main()")[0], encoding="utf-8")
    runpy.run_path(str(script))
    space = space_named("my-space")
    assert "blur_3x3" in space.operations
    supernet = Supernet(space, channels=2, cells=3)
    alpha = Architecture(space).initial(0)
    genotype = Architecture(space).genotype(alpha)
    genotype.require(space)
    images = torch.randn(2, 3, 8, 8)
    assert supernet(images, Architecture(space).mixing_weights(alpha)).shape == (2, 10)
    assert DerivedNetwork(genotype, channels=2, cells=3)(images).shape == (2, 10)
    with pytest.raises(ValueError, match="there is a space 'my-space' already"):
        register_space(space)
    with pytest.raises(ValueError, match="there is an operation 'blur_3x3' already"):
        register_operation("blur_3x3", lambda channels, stride, recipe: None)


def test_the_commands_of_a_script_begin_with_the_script(tmp_path):
    """All of the page's lines: what the script prints as the next command, the script knows."""
    ((example, _),) = documents.blocks("docs/OWN_SPACE.md")
    (tmp_path / "my_space.py").write_text(example, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(Path(darts.__file__).parents[1])}

    def shown(*words):
        command = [sys.executable, "my_space.py", *words]
        options = {"capture_output": True, "text": True, "check": True, "env": environment}
        return subprocess.run(command, cwd=tmp_path, **options).stdout

    tiny = ["--preset=digits-check", "--train-size=60", "--space=my-space", "--device=cpu"]
    tiny += ["--search.batch-size=10", "--search.epochs=1", "--search.cells=1"]
    tiny += ["--search.channels=2", "--estimator=first-order", "--run-dir=ms1"]
    following = shown("search", *tiny).rpartition("next:\n")[2].splitlines()
    assert [shlex.split(line)[:2] for line in following] == [["python", "my_space.py"]] * 3
    assert "  python my_space.py count ms1" in following
    assert "M parameters" in shown("count", "ms1")
    recorded = json.loads((tmp_path / "ms1/environment.json").read_text())["command"]
    assert recorded.startswith("python my_space.py search ")


def test_a_space_of_unknown_operations_is_not_registered():
    with pytest.raises(ValueError, match=r"has operations \['warp'\], which are not known"):
        register_space(Space("odd", ("warp",), nodes=1, edges=((0, 2),), keep_edges=None))


@pytest.mark.parametrize("text", ["s3", "s2:cells=0", "s2:cells=x", ""])
def test_an_unknown_space_is_refused_with_the_known(text):
    with pytest.raises(ValueError, match=r"No space .*; there are s1, s1-fixed, s2, robust-s1"):
        space_named(text)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"operations": ("none",)}, r"at least one besides 'none'"),
        ({"operations": ("skip_connect", "skip_connect")}, r"name each once"),
        ({"edges": ((0, 2), (2, 2))}, r"edge 2 → 2 does not run forward"),
        ({"edges": ((0, 2), (1, 3))}, r"edge 1 → 3 does not run forward .* nodes 2 to 2"),
        ({"edges": ((0, 2), (0, 2))}, r"an edge is listed twice"),
        ({"edges": ((0, 2),)}, r"node 2 has 1 incoming edges; it needs 2"),
        ({"nodes": 0}, r"has 0 nodes; a cell needs one"),
        ({"edge_operations": ()}, r"for \[\] edges; give one row for each of 2 edges"),
        (
            {"edge_operations": ((("skip_connect",), ()),) * 2},
            r"normal cell, edge \(1, 2\): operations \(\) must be some of",
        ),
    ],
)
def test_impossible_spaces_are_refused(changes, message):
    good = {"operations": ("skip_connect",), "edges": ((0, 2), (1, 2)), "nodes": 1}
    Space("good", keep_edges=2, **good)
    with pytest.raises(ValueError, match=message):
        Space("bad", keep_edges=2, **(good | changes))
