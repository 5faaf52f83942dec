"""§4.1.2: node i is joined to node i − 1 and to c_{k−2}; other edges say that they are others."""

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from darts import cli
from darts.config.as_json import differences, to_json
from darts.config.full import full_config
from darts.names import TYPES
from darts.networks import Architecture
from darts.networks.cells import DerivedCell
from darts.records.run_folder import RunFolder
from darts.spaces import (
    S1,
    S1_ADJACENT,
    S1_FIXED,
    S2,
    CellGenotype,
    Genotype,
    s2,
    s2_adjacent,
    spaces_of,
)
from darts.spaces.feature_map import FeatureMap
from darts.spaces.operations import Identity, Recipe
from darts.spaces.published import DARTS_V2
from darts.training.full import full_run
from tests.darts.training import tiny

PAPERS = ((0, 2), (1, 2), (0, 3), (2, 3), (0, 4), (3, 4), (0, 5), (4, 5))
"""(source, target); 0 is c_{k−2}, 1 is c_{k−1}, 2 to 5 are the nodes."""
ADJACENT = ((0, 2), (1, 2), (1, 3), (2, 3), (2, 4), (3, 4), (3, 5), (4, 5))
AS_RECORDED = replace(S1_ADJACENT, name="s1-fixed")


def genotype_on(
    edges: tuple[tuple[int, int], ...], kinds: tuple[str, ...], operation: str = "sep_conv_5x5"
) -> Genotype:
    """One operation on the given edges of every kind of cell."""
    cell = [[operation, source] for source, _ in edges]
    content = dict.fromkeys(kinds, cell)
    return Genotype.from_dict(content | {f"{kind}_concat": [2, 3, 4, 5] for kind in kinds})


@pytest.mark.parametrize("space", [S1_FIXED, S2, s2(8)], ids=lambda space: space.name)
def test_fixed_edges_join_each_node_to_the_one_before_it_and_to_the_least_indexed(space):
    assert space.edges == PAPERS


def test_fixed_edges_are_eight_of_the_fourteen():
    assert len(S1_FIXED.edges) == 8
    assert set(S1_FIXED.edges) < set(S1.edges)


def test_fixed_edges_are_what_a_search_finds():
    alpha = Architecture(S1_FIXED).initial(0)
    for cell in Architecture(S1_FIXED).genotype(alpha).cells:
        sources = [[source for _, source in cell.inputs(node)] for node in range(4)]
        assert sources == [[0, 1], [0, 2], [0, 3], [0, 4]]


@pytest.mark.parametrize(
    ("edges", "nodes"), [(PAPERS, (11, 12, 13, 14)), (ADJACENT, (11, 21, 32, 53))]
)
def test_fixed_edges_are_what_a_cell_computes(edges, nodes):
    """Skip-connect on every edge, c_{k−2} = 1, c_{k−1} = 10: the nodes by hand."""
    skips = CellGenotype("normal", tuple(("skip_connect", s) for s, _ in edges), (2, 3, 4, 5))
    recipe = Recipe(nn.BatchNorm2d, nn.BatchNorm2d, torch.relu)
    cell = DerivedCell(skips, [Identity(), Identity()], 1, False, recipe)
    inputs = [FeatureMap(torch.full((1, 1, 1, 1), v), recipe.activation) for v in (1.0, 10.0)]
    assert cell(inputs, 0.0).raw.flatten().tolist() == list(nodes)


def test_fixed_edges_are_told_from_adjacent_ones_by_the_genotype():
    kinds = ("normal", "reduce")
    assert spaces_of(genotype_on(PAPERS, kinds)) == ("s1", "s1-fixed")
    assert spaces_of(genotype_on(ADJACENT, kinds)) == ("s1", "s1-fixed-adjacent")
    assert spaces_of(DARTS_V2) == ("s1",)
    cells = tuple(f"cell_{number}" for number in range(3))
    assert spaces_of(genotype_on(PAPERS, cells, "sep_conv_3x3")) == ("s2:cells=3",)
    assert spaces_of(genotype_on(ADJACENT, cells, "sep_conv_3x3")) == ("s2-adjacent:cells=3",)


@pytest.mark.parametrize(
    ("recorded", "name"),
    [
        (AS_RECORDED, "s1-fixed-adjacent"),
        (replace(s2_adjacent(), name="s2"), "s2-adjacent"),
        (replace(s2_adjacent(3), name="s2:cells=3"), "s2-adjacent:cells=3"),
        (S1_FIXED, "s1-fixed"),
        (S2, "s2"),
        (s2(3), "s2:cells=3"),
        (replace(AS_RECORDED, name="my-space"), "my-space"),
    ],
)
def test_fixed_edges_name_the_space_of_a_recorded_config(recorded, name):
    cells = len(recorded.cell_kinds) if recorded.name.startswith("s2") else 2
    config = tiny.full_config(search=tiny.search_config(space=recorded, cells=cells))
    read = full_config(json.loads(json.dumps(to_json(config))), TYPES)
    assert read.search.space == replace(recorded, name=name)
    assert differences(to_json(config), to_json(read)) == []


def test_a_run_recorded_with_adjacent_fixed_edges_is_resumed_drawn_and_retrained(tmp_path, capsys):
    """Killed in its search, its config.json calls the space s1-fixed."""
    search = tiny.search_config(space=AS_RECORDED, epochs=2)
    config = tiny.full_config(search=search, retrain=tiny.retrain_config(epochs=1))
    whole = tiny.new_run(tmp_path / "whole", config=config)
    full_run(config, tiny.images(), whole)
    run = tiny.new_run(tmp_path / "run", tiny.Follower(die_at=("search", 1, 0)), config=config)
    with pytest.raises(tiny.KilledError):
        full_run(config, tiny.images(), run)

    assert cli.main(["full-search", "--resume", str(run.path), "--device", "cpu"]) == 0
    assert run.read("genotype.json") == whole.read("genotype.json")
    tested = [folder.read("result.json")["retrain"]["test"] for folder in (run, whole)]
    assert tested[0] == tested[1]
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert "This genotype is in s1, s1-fixed-adjacent: each node takes the two states" in page
    assert "<b>s1-fixed-adjacent</b>" in page
    assert (run.path / "figures" / "normal.svg").is_file()

    sizes = ["--retrain.epochs", "1", "--retrain.batch-size", "20", "--retrain.cells", "2"]
    command = ["retrain", "--preset", "digits-check", "--genotype", str(run.path), *sizes]
    again = tmp_path / "again"
    assert cli.main([*command, "--train-size", "60", "--run-dir", str(again)]) == 0
    assert "the genotype is in s1, s1-fixed-adjacent" in capsys.readouterr().out
    assert RunFolder(again).read("genotype.json") == run.read("genotype.json")


def test_a_genotype_on_adjacent_fixed_edges_is_counted_and_named(tmp_path, capsys):
    genotype = genotype_on(ADJACENT, ("normal", "reduce"))
    path = tmp_path / "genotype.json"
    path.write_text(genotype.to_json())
    assert cli.main(["count", str(path), "--cells", "2", "--channels", "2"]) == 0
    assert "; in s1, s1-fixed-adjacent: each node takes the two" in capsys.readouterr().out
