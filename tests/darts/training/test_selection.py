"""DARTS-PT: what the supernet needs is chosen, edge by edge, resumed bit for bit, and reported."""

from dataclasses import replace

import pytest
import torch

from bilevel.estimators import FirstOrder
from darts.config.as_json import from_json, to_json
from darts.config.compute import Computing
from darts.config.presets import PRESETS
from darts.methods import (
    CostWeight,
    PartialChannels,
    Progressive,
    Removal,
    SampledPath,
    Sigmoid,
    SkipLimit,
    ZeroOne,
)
from darts.methods.removal import Masks, choosing_nodes
from darts.names import SELECTIONS, TYPES
from darts.networks.decided import DecidedArchitecture
from darts.parallel.launch import CPU
from darts.records.run_folder import RunFolder
from darts.reports import write_report
from darts.reports.selected import epochs_as_chosen
from darts.spaces import S1, S1_FIXED, Space
from darts.training.evaluation import Evaluation
from darts.training.full import full_run
from darts.training.phases import phases_of
from darts.training.search import search
from darts.training.searching import Searching
from darts.training.selecting import Selecting
from tests.darts.training.tiny import (
    Follower,
    KilledError,
    full_config,
    images,
    new_run,
    retrain_config,
    search_config,
    timeless,
)

PLANTED = Space(
    name="planted",
    operations=("sep_conv_3x3", "skip_connect", "sep_conv_5x5"),
    nodes=1,
    edges=((1, 2),),
    keep_edges=None,
)
"""A chain: what an edge loses, the network loses."""
CHOOSY = Space(
    name="choosy",
    operations=("none", "skip_connect", "max_pool_3x3"),
    nodes=2,
    edges=((0, 2), (1, 2), (0, 3), (1, 3), (2, 3)),
    keep_edges=1,
)
"""Two nodes, and both have edges to lose: one of two, and two of three."""


def searching_of(**changes):
    config = search_config(FirstOrder(), selection=Removal(epochs=1), **changes)
    return Searching(config, config.halves(images()))


def planted():
    """Convolutions that give nothing, and all that the images say through skip-connect.

    Images are of a class's own grey, and the classifier answers by the nearest mean of features.
    """
    searching = searching_of(space=PLANTED, cells=3, batch_size=10, channels=4)
    generator = torch.Generator().manual_seed(0)
    for cell in searching.supernet.cells:
        for edge in cell.edges:
            for name, operation in edge.items():
                for parameter in operation.parameters() if name.startswith("sep") else ():
                    parameter.data.zero_()
    column = PLANTED.operations.index("skip_connect")
    for leaf in searching.alpha.values():
        with torch.no_grad():
            leaf.copy_(torch.tensor([[1.0, 0.0, 2.0]]))
            leaf[:, column] = -1.0
    labels = torch.arange(30) % 10
    pixels = (labels.float() - 4.5)[:, None, None, None] * torch.ones(30, 1, 8, 8)
    pixels = pixels + 0.01 * torch.randn(pixels.shape, generator=generator)
    return searching, pixels, labels


def test_what_matters_is_chosen_although_its_alpha_is_lowest(monkeypatch):
    """The planted supernet: without skip-connect it knows nothing, without a convolution all."""
    searching, pixels, labels = planted()
    features = []
    handle = searching.supernet.classifier.register_forward_pre_hook(
        lambda module, given: features.append(given[0])
    )
    with torch.no_grad():
        mixing = searching.architecture.deterministic(searching.alpha)
        searching.supernet(pixels, mixing)
        handle.remove()
        means = torch.stack([features[0][labels == k].mean(0) for k in range(10)])
        searching.supernet.classifier.weight.copy_(1e3 * means)
        searching.supernet.classifier.bias.copy_(-0.5e3 * means.square().sum(1))
    monkeypatch.setattr(
        "darts.training.selecting.in_order", lambda *given: iter([(pixels, labels)])
    )
    selecting = Selecting(searching, Removal(epochs=1))
    assert selecting.rounds == 1
    assert selecting.evaluate(Masks.of(PLANTED, [], "cpu")).accuracy_percent == 100
    by_kind = {decision["kind"]: decision for decision in selecting.decide(0)}
    for kind in PLANTED.cell_kinds:
        assert by_kind[kind]["operation"] == "skip_connect"
        assert by_kind[kind]["largest_weight"] == "sep_conv_5x5"
        accuracy = {
            name: found["accuracy_percent"] for name, found in by_kind[kind]["without"].items()
        }
        assert accuracy == {"sep_conv_3x3": 100, "skip_connect": 10, "sep_conv_5x5": 100}
    chosen = {operation for cell in selecting.genotype().cells for operation, _ in cell.edges}
    by_alpha = searching.genotype()
    assert chosen == {"skip_connect"}
    assert {operation for cell in by_alpha.cells for operation, _ in cell.edges} == {"sep_conv_5x5"}


def test_what_is_taken_away_leaves_the_other_weights_as_they_were():
    """Nothing is divided anew; a decided edge has its operation at weight 1, and no other."""
    decisions = [{"kind": "normal", "row": 4, "operation": "sep_conv_3x3"}]
    masks = Masks.of(S1_FIXED, decisions, "cpu")
    architecture = DecidedArchitecture(S1_FIXED, Sigmoid(), masks=masks)
    alpha = architecture.initial(0, scale=1.0)
    plain = architecture.mixing_weights(alpha)
    mixing = architecture.deterministic(alpha)
    column = S1_FIXED.operations.index("sep_conv_3x3")
    expected = plain["normal"].clone()
    expected[4] = 0.0
    expected[4, column] = 1.0
    assert torch.equal(mixing.operations["normal"], expected)
    assert torch.equal(mixing.operations["reduce"], plain["reduce"])
    trial = replace(architecture, masks=masks.without("normal", [2], column))
    expected[2, column] = 0.0
    found = trial.deterministic(alpha)
    assert torch.equal(found.operations["normal"], expected)
    assert torch.equal(found.active["normal"], expected > 0)
    lost = Masks.of(S1, [{"kind": "reduce", "node": 4, "rows": [5, 8]}], "cpu")
    assert choosing_nodes(S1) == [3, 4, 5]
    assert lost.weights("reduce", torch.ones(14, 8)).sum(1)[[5, 6, 7, 8]].tolist() == [8, 8, 8, 8]


def test_each_edge_is_decided_once_in_an_order_of_the_seed_and_nodes_come_last():
    orders = []
    for seed in (0, 1):
        selecting = Selecting(searching_of(space=CHOOSY, seed=seed), Removal(epochs=1))
        assert selecting.rounds == 5 + 2
        for number in range(selecting.rounds):
            selecting.decide(number)
        for kind in CHOOSY.cell_kinds:
            own = [d for d in selecting.decisions if d["kind"] == kind]
            assert sorted(d["row"] for d in own[:5]) == list(range(5))
            assert sorted(d["node"] for d in own[5:]) == [2, 3]
            orders.append([d["row"] for d in own[:5]])
        evaluated = sum(len(d["without"]) for d in selecting.decisions if "row" in d)
        evaluated += sum(
            len(trial) for d in selecting.decisions if "node" in d for trial in d["without"]
        )
        assert evaluated == selecting.evaluations == 2 * (5 * 2 + 2 + (3 + 2))
        cells = selecting.genotype().cells
        assert [len(cell.edges) for cell in cells] == [2, 2]
    assert len({tuple(order) for order in orders}) > 1


def test_in_dartss_space_it_takes_240_evaluations_and_160_epochs():
    """As the documents say: 7 of each of 14 edges, 3 + 7 + 12 of the nodes, in two kinds."""
    selecting = Selecting(searching_of(space=S1, cells=3), Removal())
    assert (selecting.rounds, selecting.evaluations, selecting.epochs) == (17, 240, 160)


def test_a_node_loses_the_edges_that_the_supernet_misses_least(monkeypatch):
    """Accuracies by hand: without edge 2 it is best, then without 4; edge 3 stays."""
    selecting = Selecting(searching_of(space=CHOOSY), Removal(epochs=1))
    selecting.decisions = [
        {"kind": kind, "row": row, "operation": "skip_connect"}
        for kind in CHOOSY.cell_kinds
        for row in range(5)
    ]
    worth = {2: 1.0, 3: 30.0, 4: 10.0}

    def evaluated(masks):
        here = masks.fixed["normal"].sum(1)
        loss = sum(value for row, value in worth.items() if here[row] == 0)
        return Evaluation(0.0, {"accuracy_percent": 100 - loss}, 10)

    monkeypatch.setattr(selecting, "evaluate", evaluated)
    assert selecting._node("normal", 3)["rows"] == [3]


def test_equal_accuracies_are_told_apart_by_the_loss(monkeypatch):
    selecting = Selecting(searching_of(space=CHOOSY), Removal(epochs=1))
    losses = iter([0.2, 0.3])
    monkeypatch.setattr(
        selecting,
        "evaluate",
        lambda masks: Evaluation(next(losses), {"accuracy_percent": 50.0}, 10),
    )
    assert selecting._edge("normal", 0)["operation"] == "max_pool_3x3"


def test_tuning_moves_omega_alone_at_a_rate_that_falls_from_its_share_of_the_searchs():
    searching = searching_of()
    selecting = Selecting(searching, searching.config.selection)
    selecting.decide(0)
    alpha = {name: leaf.detach().clone() for name, leaf in searching.alpha.items()}
    omega = {name: leaf.detach().clone() for name, leaf in searching.omega.items()}
    selecting.step(0, 0)
    assert selecting.inner.param_groups[0]["lr"] == pytest.approx(0.0025)
    assert all(torch.equal(alpha[name], leaf) for name, leaf in searching.alpha.items())
    assert any(not torch.equal(omega[name], leaf) for name, leaf in searching.omega.items())


SELECTED = {
    "softmax": {},
    "fair": {"mixing": Sigmoid(), "alpha_penalty": ZeroOne()},
}


@pytest.mark.parametrize("name", SELECTED)
def test_a_selection_killed_twice_has_the_bits_of_one_that_was_not(name, tmp_path):
    config = search_config(FirstOrder(), epochs=1, selection=Removal(epochs=2), **SELECTED[name])
    data = config.halves(images())
    whole = new_run(tmp_path / "whole")
    result = search(config, data, whole)
    assert result.selection["edges"] == 4
    place = tmp_path / "killed"
    new_run(place)
    for at in (("search", 0, 1), ("selection", 0, 0), ("selection", 1, 1)):
        with pytest.raises(KilledError):
            search(config, data, RunFolder.open(place, (Follower(die_at=at),)))
    killed = RunFolder.open(place)
    assert search(config, data, killed).genotype == result.genotype
    for stream in ("search/steps", "selection/decisions"):
        assert timeless(killed.records(stream)) == timeless(whole.records(stream))
    assert len(whole.records("selection/decisions")) == 4
    again = Follower()
    done = search(config, data, RunFolder.open(place, (again,)))
    assert done.genotype == result.genotype
    assert not again.streams


def test_a_full_run_retrains_what_was_chosen_and_its_report_says_how(tmp_path):
    config = full_config(
        search=search_config(FirstOrder(), epochs=1, selection=Removal(epochs=1)),
        retrain=retrain_config(epochs=1),
    )
    run = new_run(tmp_path / "run", config=config)
    result = full_run(config, images(), run)
    decisions = {
        (record["kind"], record["row"]): record["operation"]
        for record in run.records("selection/decisions")
    }
    for cell in result.search.genotype.cells:
        assert [name for name, _ in cell.edges] == [decisions[cell.kind, row] for row in (0, 1)]
    assert run.read("genotype.json") == result.search.genotype.to_dict()
    assert run.read("result.json")["search"]["selection"]["evaluations"] == 12
    assert epochs_as_chosen(run)[-1]["genotype"] == run.read("genotype.json")
    said = write_report(run)
    unlike = result.search.selection["unlike_weights"]
    sentence = f"On {unlike} of 4 edges that is not the operation of the largest mixing weight."
    assert sentence in said
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert sentence in page
    assert "chosen by removal (DARTS-PT)" in page


def test_a_dry_run_counts_the_steps_and_evaluations_of_a_selection():
    config = full_config(search=search_config(FirstOrder(), selection=Removal(epochs=4)))
    works = {work.name: work for work in next(phases_of(config, images(), None, CPU)).works}
    step, trial = (works[f"{name} in the selection"] for name in ("step of ω", "evaluation"))
    assert (step.times, trial.times) == ((2 - 1) * 4 * 3, 12 * 3)
    assert all(number > 0 for work in (step, trial) for number in work.once(10))


REFUSED = {
    "one path": ({"mixing": SampledPath()}, "Removal with mixing SampledPath: .* one path"),
    "no decay": ({"weight_decay": 0.0}, "weight_decay=0 with selection Removal"),
    "partial": (
        {"partial_channels": PartialChannels(share=2), "channels": 4},
        "Removal with PartialChannels: the channels that go by",
    ),
    "progressive": (
        {"progressive": Progressive((2, 3), (4, 2), (0.0, 0.5)), "epochs": 4},
        "Removal with Progressive: it limits skip-connects",
    ),
    "stop": ({"stop": SkipLimit()}, "Removal with SkipLimit: it keeps .* earlier epoch"),
    "target": ({"target": CostWeight(0.1)}, "Removal with CostWeight: .* accuracy alone"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_go_with_a_selection_is_refused(name):
    settings, message = REFUSED[name]
    search_config(**settings) if name != "no decay" else search_config(weight_decay=0.0)
    with pytest.raises(ValueError, match=message) as refusal:
        search_config(selection=Removal(), **settings)
    assert "\n" not in str(refusal.value)


def test_several_processes_are_refused():
    config = search_config(selection=Removal())
    with pytest.raises(ValueError, match="selection Removal on 2 processes"):
        full_config(search=config, computing=Computing(processes=2))


def test_it_is_read_by_name_and_configs_without_it_are_written_as_before():
    assert SELECTIONS.read("removal") == Removal(10, 0.1)
    assert SELECTIONS.read("removal:epochs=5,rate=0.5") == Removal(5, 0.5)
    assert SELECTIONS.read("none") is None
    for text in ("removal:epochs=0", "removal:rate=0", "removal:rate=1.5"):
        with pytest.raises(ValueError, match="1 or more epochs between decisions"):
            SELECTIONS.read(text)
    for selection in (None, Removal(3)):
        content = to_json(config := search_config(selection=selection))
        assert ("selection" in content) == (selection is not None)
        assert from_json(content, TYPES) == config
    assert PRESETS["cifar10-darts-pt"].search.selection == Removal(10, 0.1)
