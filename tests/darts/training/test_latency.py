"""Latency tables: fitted to whole networks, safely read, and counted by a search with a target."""

import json
import signal
from dataclasses import replace

import pytest
import torch

from darts import cli
from darts.commands import requests
from darts.methods import CostWeight
from darts.methods.random_search import lightest_genotype, random_genotype
from darts.networks.blueprint import Blueprint
from darts.networks.latency import LatencyTable
from darts.networks.stem_and_head import IMAGENET
from darts.networks.width import multiply_adds
from darts.records.run_folder import RunFolder
from darts.spaces import registry
from darts.training import full, latency
from darts.training.loop import Interrupted
from tests.darts.training import tiny
from tests.darts.training.tiny import TWO_EDGES

IMAGE = (8, 8)


@pytest.fixture
def blueprint():
    return Blueprint(lightest_genotype(TWO_EDGES), 4, 2, 10, 1)


def test_the_table_tells_networks_whose_times_are_a_sum(blueprint, monkeypatch):
    """A device on which an operation takes its multiply-adds, half as long again in a network,
    and all else takes what its multiply-adds are and two seconds."""
    monkeypatch.setattr(latency, "_pass", lambda place, device: place.multiply_adds())
    monkeypatch.setattr(latency, "_whole", lambda network, image, device: network)

    def time(work, device, repeats):
        return work if isinstance(work, int) else 2000 + 1.5 * multiply_adds(work, IMAGE)

    monkeypatch.setattr(latency, "_milliseconds", time)
    measured = latency.measure_latency(TWO_EDGES, blueprint, IMAGE, networks=1)
    assert measured.scale == pytest.approx(1.5, rel=1e-12)
    for network in measured.networks:
        assert network["predicted"] == pytest.approx(network["measured"], rel=1e-12)
    read = LatencyTable.from_dict(json.loads(json.dumps(measured.to_dict())))
    costs = read.costs(TWO_EDGES, blueprint, IMAGE)
    assert costs.unit == "ms"
    genotype = random_genotype(TWO_EDGES, 5)
    whole = 2000 + 1.5 * multiply_adds(replace(blueprint, genotype=genotype), IMAGE)
    assert costs.of(genotype) == pytest.approx(whole, rel=1e-12)
    assert measured.doubt is None
    with pytest.raises(ValueError, match=r"other sizes .*: channels 4 ≠ 8"):
        read.costs(TWO_EDGES, replace(blueprint, channels=8), IMAGE)
    with pytest.raises(ValueError, match=r"other sizes .*: stem small images ≠ imagenet"):
        read.costs(TWO_EDGES, replace(blueprint, stem=IMAGENET), IMAGE)
    older = {name: size for name, size in read.network.items() if name != "stem"}
    replace(read, network=older).costs(TWO_EDGES, blueprint, IMAGE)
    without = replace(read, times=dict(list(read.times.items())[1:]))
    with pytest.raises(ValueError, match=r"has no time of .* Measure the space"):
        without.costs(TWO_EDGES, blueprint, IMAGE)


@pytest.mark.parametrize(
    ("scale", "fixed", "predicted", "doubt"),
    [
        (1.5, 2.0, 11.0, None),
        (1.5, 2.0, 13.0, "it is up to 30% off for the networks above"),
        (1.5, 2.0, 7.0, "it is up to 30% off"),
        (7.8, 2.0, 10.0, "operations take 7.80 times in a network what they do alone"),
        (0.1, 2.0, 10.0, "operations take 0.10 times"),
        (1.5, 0.0, 10.0, "nothing is left for all that is no operation"),
    ],
)
def test_a_table_is_doubted_where_it_fits_no_network(scale, fixed, predicted, doubt):
    networks = [{"measured": 10.0, "predicted": p} for p in (10.0, predicted)]
    found = latency.Measured(LatencyTable({}, fixed, {}), scale, networks).doubt
    assert found == doubt if doubt is None else doubt in found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "has the format"),
        ({"operations": 3}, "this one is damaged"),
        ({"operations": [{"operation": "noise"}]}, "an entry of the latency table is damaged"),
        ({"fixed_milliseconds": -1}, "this one is damaged"),
        ({"fixed_milliseconds": float("nan")}, "this one is damaged"),
    ],
)
def test_a_file_that_is_no_table_is_refused(change, message):
    content = LatencyTable({}, 1.0, {}).to_dict() | change
    with pytest.raises(ValueError, match=message):
        LatencyTable.from_dict(content)


def test_by_command_a_table_is_measured_and_a_search_counts_by_it(
    tmp_path, capsys, monkeypatch, registered
):
    monkeypatch.chdir(tmp_path)
    sizes = ["--channels", "2", "--cells", "2", "--image-size", "8", "--in-channels", "1"]
    measure = ["measure", "--space", registered, *sizes, "--repeats", "1", "--device", "cpu"]
    times = iter(range(1, 1000))  # heavier networks come last, and take longer
    monkeypatch.setattr(latency, "_milliseconds", lambda *arguments: float(next(times)))
    assert cli.main(measure) == 0
    told = capsys.readouterr().out
    assert "operations, each in a network" in told
    assert "Do not trust this table: " in told  # its times are the order of the measurements
    assert "with more --repeats than 1." in told
    config = tiny.full_config(
        search=tiny.search_config(target=CostWeight(0.1)), latency_table="latency.json"
    )
    run = RunFolder(tmp_path / "run")
    costs = full.run_costs(config, tiny.images(), run)
    assert costs.unit == "ms"
    (tmp_path / "latency.json").unlink()  # a run goes on by the table that it began with
    again = full.run_costs(config, tiny.images(), run)
    genotype = random_genotype(TWO_EDGES, 1)
    assert again.of(genotype) == costs.of(genotype)
    full.require_feasible(config, tiny.images(), run=run)
    words = ["full-search", "--preset", "digits-check", "--latency-table", "latency.json"]
    assert cli.main(words) == 2
    assert "is for a search with a target" in capsys.readouterr().err


def test_a_run_is_resumed_without_the_file_that_its_latency_table_was_read_from(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    table, run = tmp_path / "latency.json", tmp_path / "run"
    table.write_text("{}")
    space = ["--space", "s1-fixed", "--channels", "2", "--cells", "3", "--image-size", "8"]
    times = iter(range(1, 10_000))
    monkeypatch.setattr(latency, "_milliseconds", lambda *arguments: float(next(times)))
    measure = ["measure", *space, "--in-channels", "1", "--repeats", "1", "--device", "cpu"]
    assert cli.main(measure) == 0
    began = ["full-search", "--preset", "digits-check", "--run-dir", str(run)]
    began += ["--retrain.channels", "2", "--retrain.cells", "3", "--retrain.auxiliary-weight", "0"]
    began += ["--latency-table", "latency.json", "--search.target", "limit:most=1000000"]
    monkeypatch.setattr(requests, "full_run", _interrupted)
    assert cli.main(began) == 130
    RunFolder(run).write("latency.json", json.loads(table.read_text()))
    table.unlink()
    capsys.readouterr()
    assert cli.main(["full-search", "--resume", str(run)]) == 130
    assert "--resume" in capsys.readouterr().err


def _interrupted(config, images, run, **named):
    raise Interrupted(run.path, signal.SIGINT)


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setitem(registry._SPACES, TWO_EDGES.name, TWO_EDGES)
    return TWO_EDGES.name


def test_time_is_that_of_the_quickest_pass():
    passes = []
    found = latency._milliseconds(lambda: passes.append(0) or torch.zeros(1), "cpu", 4)
    assert len(passes) == latency.WARM_UP + 4
    assert 0 < found < 1000
