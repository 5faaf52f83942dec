"""A report is one file that asks nobody for anything, built from the run folder alone."""

import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from darts.config.as_json import to_json
from darts.config.presets import PRESETS
from darts.data import Digits
from darts.networks.width import MultiplyAddLimit
from darts.records.run_folder import RunFolder
from darts.reports import write_report, write_summary
from darts.reports.the_paper import is_the_papers
from darts.reports.top5 import top5_percent, top5_words
from darts.spaces import S1_ADJACENT
from darts.training.full import full_run
from tests.darts.conftest import CONFIG
from tests.darts.training.tiny import (
    Follower,
    KilledError,
    full_config,
    images,
    new_run,
    retrain_config,
    search_config,
)


class References(HTMLParser):
    """Everything a page could load, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "srcset", "data", "action", "poster"):
                self.found.append((tag, value or ""))

    def handle_data(self, data: str) -> None:
        self.text += data


def outside(html: str) -> list[str]:
    """References to anything but the page itself: no scheme, no path, no @import, no url()."""
    page = References()
    page.feed(html)
    loads = [value for _, value in page.found if not value.startswith(("#", "data:"))]
    loads += [url for url in re.findall(r"url\(([^)]*)\)", html) if not url.startswith("#")]
    return loads + re.findall(r"@import[^;]*", html)


@pytest.fixture
def page(run):
    parsed = References()
    parsed.feed((run.path / "report.html").read_text(encoding="utf-8"))
    return parsed


def test_the_report_asks_nobody_for_anything(run):
    html = (run.path / "report.html").read_text(encoding="utf-8")
    assert outside(html) == []


@pytest.mark.parametrize(
    "planted",
    [
        '<img src="https://example.org/x.png">',
        '<link rel="stylesheet" href="style.css">',
        "<style>@import 'fonts.css';</style>",
        "<style>body { background: url(http://example.org/x) }</style>",
    ],
)
def test_the_check_sees_a_request(run, planted):
    html = (run.path / "report.html").read_text(encoding="utf-8") + planted
    assert len(outside(html)) == 1


def test_the_report_is_built_from_the_folder_alone(run, tmp_path, monkeypatch):
    moved = tmp_path / "elsewhere"
    shutil.copytree(run.path, moved)
    shutil.rmtree(moved / "search" / "checkpoints")
    (moved / "report.html").unlink()

    def no_data(self):
        raise AssertionError("a report loaded images")

    monkeypatch.setattr(Digits, "load", no_data)
    write_report(RunFolder.open(moved))
    first, again = run.path / "report.html", moved / "report.html"
    assert first.read_text(encoding="utf-8") == again.read_text(encoding="utf-8")


def test_the_report_says_what_was_run_and_what_came_out(run, page):
    result = run.read("result.json")
    for text in (
        "Preset tiny, seed 0",
        "by an estimate of that loss’s hypergradient: amended.",
        "Mixing weights at the end, reduction cells, per cent",
        "That the implicit term points the right way",
        f"{result['retrain']['test']['accuracy_percent']:.2f} %",
        f"{result['baselines']['logistic_percent']:.2f} %",
        "449 test images",
        f"top-5 {result['retrain']['test']['top5_percent']:.2f} %",
        "2 cells with 2 channels",
        "darts tiny",  # the command
        "--estimator",
        "amended:eta=0.1",
        "Genotype(normal=[(",
        "Random cell 1",
        "DARTS_V2",
        "The paper has no number for this cell",
        "What this does not show",
    ):
        assert text in page.text, text
    assert page.tags.count("svg") == 2 + 2 + 2 + 2 + 2
    drawn = [
        operation
        for kind in ("normal", "reduce")
        for operation, _ in run.read("genotype.json")[kind]
    ]
    for operation in drawn:
        assert operation.split("_")[0] in page.text


def test_of_first_order_nothing_is_said_of_an_implicit_term(run, tmp_path):
    shutil.copytree(run.path, tmp_path / "first")
    copy = RunFolder.open(tmp_path / "first")
    config = copy.read("config.json")
    config["search"]["estimator"] = {"type": "FirstOrder"}
    copy.write("config.json", config)
    write_report(copy)
    html = (copy.path / "report.html").read_text(encoding="utf-8")
    assert "hypergradient: first order." in html
    assert "implicit term points the right way" not in html


@pytest.mark.parametrize(
    ("cpus", "threads", "words"), [(1, 2, "1 CPU, 2 threads"), (2, 1, "2 CPUs, 1 thread")]
)
def test_one_thread_is_one_thread(run, tmp_path, cpus, threads, words):
    shutil.copytree(run.path, tmp_path / "run")
    copy = RunFolder.open(tmp_path / "run")
    copy.write(
        "environment.json",
        copy.read("environment.json") | {"cpus": cpus, "torch_threads": threads},
    )
    write_report(copy)
    assert f", {words}<" in (copy.path / "report.html").read_text(encoding="utf-8")


def test_the_pictures_of_the_cells_lie_beside_the_report(run):
    for kind in ("normal", "reduce"):
        assert (run.path / "figures" / f"{kind}.svg").read_text().startswith("<svg")


def test_a_run_that_is_not_finished_gets_a_report_that_says_so(tmp_path):
    killed = new_run(tmp_path / "run", Follower(die_at=("retrain", 1, 0)), config=CONFIG)
    with pytest.raises(KilledError):
        full_run(CONFIG, images(), killed)
    assert "not finished" in write_report(killed)
    assert "This run is not finished" in (killed.path / "report.html").read_text(encoding="utf-8")


def test_text_from_outside_is_escaped(run, tmp_path):
    hostile = tmp_path / "hostile"
    shutil.copytree(run.path, hostile)
    copy = RunFolder.open(hostile)
    copy.write(
        "environment.json", {**copy.read("environment.json"), "command": "<script>x</script>"}
    )
    write_report(copy)
    assert "<script>x" not in (hostile / "report.html").read_text(encoding="utf-8")


def test_a_summary_lists_every_run_with_mean_and_sample_deviation(run, tmp_path):
    for seed, accuracy in ((0, 98.0), (1, 99.0), (10, 97.0)):
        shutil.copytree(run.path, tmp_path / f"seed-{seed}")
        copy = RunFolder.open(tmp_path / f"seed-{seed}")
        result = copy.read("result.json")
        result["retrain"]["test"] |= {"accuracy_percent": accuracy, "top5_percent": 99.5}
        copy.write("result.json", result)
    line = write_summary(tmp_path)
    assert "98.00 ± 1.00 %, top-5 99.50 ± 0.00 %, n = 3" in line
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert all(url.endswith("/report.html") and url.startswith("seed-") for url in outside(html))
    for text in ("3 runs. None is missing.", "seed-10", "98.00", "99.00", "97.00", "98.00 ± 1.00"):
        assert text in html
    assert ": test accuracy 98.00 ± 1.00 % (n = 3)." in html
    kept = sum(
        op == "skip_connect"
        for kind in ("normal", "reduce")
        for op, _ in run.read("genotype.json")[kind]
    )
    assert f"<td>{kept}</td>" in re.sub(r"\s+", "", html)


def test_a_summary_of_nothing_finished_is_refused(run, tmp_path):
    shutil.copytree(run.path, tmp_path / "seed-0")
    (tmp_path / "seed-0" / "result.json").unlink()
    with pytest.raises(ValueError, match=r"None of the 1 runs .* is finished"):
        write_summary(tmp_path)


def test_top5_is_left_out_where_it_says_nothing(run, tmp_path):
    """Of five classes all are among the first five; before it was recorded nobody knows."""
    data, result = run.read("data.json"), run.read("result.json")
    few = RunFolder(tmp_path / "few")
    few.write("data.json", {**data, "class_names": list("abcde")})
    test = result["retrain"]["test"]
    assert top5_percent(run, test) == test["top5_percent"]
    assert top5_percent(few, test) is None
    assert top5_words(few, test) == ""
    del test["top5_percent"]
    assert top5_percent(run, test) is None


def test_a_width_that_is_a_limit_is_said_in_words_until_it_is_known(tmp_path):
    limited = retrain_config(channels=MultiplyAddLimit(0.02), epochs=2)
    config = full_config(search=search_config(epochs=1), retrain=limited)
    run = new_run(tmp_path / "run", Follower(die_at=("retrain", 1, 0)), config=config)
    with pytest.raises(KilledError):
        full_run(config, images(), run)
    write_report(run)
    text = (run.path / "report.html").read_text(encoding="utf-8")
    assert "2 cells with as many channels as 0.02 M multiply-adds allow, was trained" in text
    resumed = RunFolder.open(run.path)
    channels = full_run(config, images(), resumed).retrain.channels
    write_report(resumed)
    text = (run.path / "report.html").read_text(encoding="utf-8")
    assert f"2 cells with {channels} channels, was trained" in text


def test_a_run_on_imagenet_stands_beside_the_papers_settings_there():
    """Settings equal to the mobile setting are the paper's, with one image less they are not."""
    mobile = to_json(PRESETS["imagenet-mobile"])
    assert is_the_papers(mobile)
    assert is_the_papers({**mobile, "retrain": {**mobile["retrain"], "cells": 20, "seed": 3}})
    for change in ({"train_size": 1000}, {"image_size": 160}):
        assert not is_the_papers({**mobile, "data": {**mobile["data"], **change}})
    for change in ({"epochs": 249}, {"label_smoothing": 0.0}, {"channels": 48}):
        assert not is_the_papers({**mobile, "retrain": {**mobile["retrain"], **change}})


@pytest.mark.parametrize("name", ["cifar10-s1-all-edges", "cifar10-s1-consistent", "cifar10-s2"])
def test_a_run_on_cifar10_stands_beside_the_papers_settings_in_its_space(name):
    """With 8 or 20 cells retrained; with one image less, or on adjacent edges, it does not."""
    config = to_json(PRESETS[name])
    assert is_the_papers(config)
    assert is_the_papers({**config, "retrain": {**config["retrain"], "cells": 8}})
    assert not is_the_papers({**config, "retrain": {**config["retrain"], "cells": 14}})
    assert not is_the_papers({**config, "data": {**config["data"], "test_size": 9999}})
    assert not is_the_papers({**config, "search": {**config["search"], "channels": 24}})
    adjacent = to_json(replace(S1_ADJACENT, name=config["search"]["space"]["name"]))
    assert not is_the_papers({**config, "search": {**config["search"], "space": adjacent}})


@pytest.mark.parametrize("name", ["cifar10-s1", "cifar100-s1", "cifar10-darts-first-order"])
def test_other_runs_do_not_stand_beside_the_paper(name):
    assert not is_the_papers(to_json(PRESETS[name]))
