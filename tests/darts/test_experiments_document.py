"""docs/EXPERIMENTS.md: its commands are taken. docs/DRY_RUN.md: its costs are the record's."""

import importlib.util
import json
import re
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.dry_run_table import table
from benchmarks.dry_runs import RECORD
from darts import cli
from darts.commands import random_search, requests, sweep
from darts.commands.count import Count
from darts.config.as_json import to_json, with_current_names
from darts.config.presets import PRESETS
from darts.config.retrain import RetrainConfig
from darts.config.search import SearchConfig
from proofs_checks.catalogue import all_claims
from tests import documents

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "EXPERIMENTS.md").read_text()
COMMANDS = [words for words in documents.commands("docs/EXPERIMENTS.md") if words[0] == "darts"]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_is_taken_with_its_preset(command, monkeypatch, tmp_path, capsys):
    seen = []

    @contextmanager
    def launched(placement, computing):
        yield None

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(requests, "launched", launched)
    monkeypatch.setattr(requests, "run_jobs", lambda jobs, devices: seen.extend(jobs))
    monkeypatch.setattr(sweep, "_here", lambda plan, *rest: seen.append(plan) or True)
    drawn = lambda run, path, *rest, usual: seen.append(run) or path  # noqa: E731
    monkeypatch.setattr(random_search, "run_random_search", drawn)
    monkeypatch.setattr(Count, "lines", lambda options: seen.append(options) or ["counted"])
    words = ["DARTS_V2" if word == "RUN" else word for word in command[1:]]
    assert cli.main(words) == 0, capsys.readouterr().err
    assert seen
    if "--preset" in words and words[0] in ("search", "full-search", "retrain"):
        named = words[words.index("--preset") + 1]
        assert {job.config.preset for job in seen} == {named}


ITEMS = """
    Eq. 1 to 7|§3.2, Fig. 1|§3.4: validation accuracy|footnote 2|§3.4: cost|§3.5: P-DARTS
    §4.1.1, Fig. 2|A_orig, retrained with 20 cells|§4.1.2, Fig. 3 top, Table 1|§4.1.3: sizes
    §4.1.3, Fig. 3 middle and bottom, Table 1|without the amending term|random search
    §4.1.4, Table 1|§4.2, Table 2|A.1|A.2|A.3|A.4|500 epochs and more|A.5
"""
"""What the paper's text reports, in its order, by what the rows begin with or say."""
FIGURES = """
    0.97|30 to 70 %|90.5 %|91.5 %|0.02 GPU-days|200 epochs|3.08 %|0.5 or more|3.67 %|2.81 ± 0.21 %
    3.20 %|1.1×10¹⁸|3.3×10¹³|1.5×10⁴⁸|2.60 ± 0.15 %|0.25 %|1.7 %|0.29 %|0.8 %|24.3 %|7.4 %|590 M
    24 GPU-days|10.5 and 12.8 %|5.4 and 7.4 %|6.2 and 7.4 %|2.57 ± 0.11|2.63 ± 0.13 %
    2.71 ± 0.15|2.92 ± 0.09 %|more than 10 runs
"""
"""The figures of the text that need a run, or a proof."""


def parts(table: str) -> list[str]:
    return [part.strip() for line in table.strip().splitlines() for part in line.split("|")]


def test_every_part_of_the_paper_has_a_row_in_its_order():
    tables = TEXT.split("## What the text leaves open")[0].splitlines()
    firsts = [line.split("|")[1].strip() for line in tables if line.startswith("| ")]
    place = -1
    for item in parts(ITEMS):
        found = [number for number, first in enumerate(firsts) if item in first]
        assert found, item
        assert found[0] > place, item
        place = found[0]


@pytest.mark.parametrize("figure", parts(FIGURES))
def test_each_figure_of_the_paper_stands_beside_a_command(figure):
    rows = [line.split("|") for line in TEXT.splitlines() if line.startswith("| ")]
    assert any(len(row) == 6 and figure in row[2] for row in rows)


def test_claims_and_modules_that_rows_name_are_there_and_what_is_not_says_so():
    claims = {claim.id for claim in all_claims()}
    assert set(re.findall(r"--claim (\w+)", TEXT)) <= claims
    modules = set(re.findall(r"`python -m ([\w.]+)", TEXT))
    absent = {name for name in modules if importlib.util.find_spec(name) is None}
    unbuilt = set(re.findall(r"`python -m ([\w.]+)` is not yet built", TEXT))
    assert absent == unbuilt


def test_no_document_says_that_the_paper_was_not_read():
    told = re.compile(r"not at hand|from memory|second-hand|two-stage|(first|second) stage", re.I)
    about = ("EXPERIMENTS.md", "IMAGENET.md", "METHODS.md", "SWEEPS.md", "DRY_RUN.md")
    for page in (ROOT / "README.md", *(ROOT / "docs" / name for name in about)):
        assert not told.search(page.read_text()), page.name


def test_recorded_dry_runs_are_of_the_presets_as_they_are():
    """Their images' place apart, which is the machine's. A setting that a record lacks is usual."""
    usual = {"search": to_json(SearchConfig()), "retrain": to_json(RetrainConfig())}
    for name, run in json.loads(RECORD.read_text()).items():
        now = to_json(PRESETS[name])
        for stage in ("search", "retrain"):
            recorded = with_current_names(run["config"][stage])
            lacking = {entry: usual[stage][entry] for entry in now[stage].keys() - recorded.keys()}
            assert recorded | lacking == now[stage], (name, stage)


def test_the_page_on_dry_runs_has_the_table_of_their_record():
    assert table() in (ROOT / "docs" / "DRY_RUN.md").read_text(encoding="utf-8")
