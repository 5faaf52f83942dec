"""A report is one file that asks nobody for anything, built from the run folder alone."""

import re
import shutil
from html.parser import HTMLParser

import pytest

from darts.data import Digits
from darts.reports import write_report, write_summary
from darts.runs import RunFolder, full_run
from tests.darts.runs.tiny import (
    Follower,
    KilledError,
    full_config,
    images,
    new_run,
    retrain_config,
    search_config,
)

CONFIG = full_config(search=search_config(epochs=2), retrain=retrain_config(epochs=2))


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


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    made = new_run(tmp_path_factory.mktemp("report") / "run", config=CONFIG)
    full_run(CONFIG, images(), made)
    write_report(made)
    return made


@pytest.fixture
def page(run):
    parsed = References()
    parsed.feed((run.path / "report.html").read_text(encoding="utf-8"))
    return parsed


def test_the_report_asks_nobody_for_anything(run):
    html = (run.path / "report.html").read_text(encoding="utf-8")
    assert outside(html) == []
    assert "<script" not in html


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
        "amended estimate",
        f"{result['retrain']['test']['accuracy_percent']:.2f} %",
        f"{result['baselines']['logistic_percent']:.2f} %",
        "449 test images",
        "darts tiny",  # the command
        "Amended(",
        "The paper has no number for this cell",
        "What this does not show",
    ):
        assert text in page.text, text
    assert page.tags.count("svg") == 6
    drawn = [
        operation
        for kind in ("normal", "reduce")
        for operation, _ in run.read("genotype.json")[kind]
    ]
    for operation in drawn:
        assert operation.split("_")[0] in page.text


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
    assert "<script" not in (hostile / "report.html").read_text(encoding="utf-8")


def test_a_summary_lists_every_run_with_mean_and_sample_deviation(run, tmp_path):
    for seed, accuracy in ((0, 98.0), (1, 99.0), (10, 97.0)):
        shutil.copytree(run.path, tmp_path / f"seed-{seed}")
        copy = RunFolder.open(tmp_path / f"seed-{seed}")
        result = copy.read("result.json")
        result["retrain"]["test"]["accuracy_percent"] = accuracy
        copy.write("result.json", result)
    line = write_summary(tmp_path)
    assert "98.00 ± 1.00 %, n = 3" in line
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert all(url.endswith("/report.html") and url.startswith("seed-") for url in outside(html))
    for text in ("Seeds 0, 1, 10", "98.00", "99.00", "97.00", "98.00 ± 1.00 %"):
        assert text in html


def test_a_summary_of_nothing_finished_is_refused(run, tmp_path):
    shutil.copytree(run.path, tmp_path / "seed-0")
    (tmp_path / "seed-0" / "result.json").unlink()
    with pytest.raises(ValueError, match=r"None of the 1 runs .* is finished"):
        write_summary(tmp_path)
