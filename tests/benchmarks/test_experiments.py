"""Experiments: paired runs, journals that fold into records, rules that decide, fresh pages."""

import math
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.experiments import page as pages
from benchmarks.experiments.beside import write_comparison_of
from benchmarks.experiments.catalogue import EXPERIMENTS
from benchmarks.experiments.collapse import RANDOM_CELL_PERCENT
from benchmarks.experiments.definition import (
    NOT_RUN,
    NOT_SUPPORTED,
    SUPPORTED,
    UNDECIDED,
    Experiment,
)
from benchmarks.experiments.direction import MeasuredSearch
from benchmarks.experiments.ends import HORIZON, accuracy_at, at_common_end, collapse_epoch
from benchmarks.experiments.journal import fold, journal_lines
from benchmarks.experiments.packing import pack, unpack
from benchmarks.experiments.paired import interval
from benchmarks.experiments.plots import label, looks_of
from benchmarks.experiments.queue import Place, missing, work_through
from benchmarks.experiments.record import RunRecord, read_all, read_records, write_record
from benchmarks.experiments.rules import above, all_do, any_does, has_collapsed, none_does
from benchmarks.experiments.run import carry_out
from benchmarks.experiments.searched import ENDED, Searched, SearchSetting
from benchmarks.experiments.setting import METHODS, SMALL
from darts.data import Digits, SearchData
from darts.records.run_folder import RunFolder
from darts.training.accuracy_table import AccuracyTable
from darts.training.searching import Searching
from tests.benchmarks.made_records import made_record
from tests.darts.data.real_files import cifar10_images, real

IMAGES = Digits(train_size=60)
TINY = SearchSetting(
    name="tiny",
    data=IMAGES,
    search=replace(
        SMALL.search,
        epochs=3,
        batch_size=10,
        channels=2,
        padding=1,
        statistics_batches=1,
        evaluation_images=10,
        checkpoint_share=1.0,
    ),
    words="Seconds on digits.",
)
ACCURACY = {f"{n:06d}": 50.0 for n in range(10**6) if not set(f"{n:06d}") & set("56789")}


def tiny(method: str = "first-order", seed: int = 0) -> Searched:
    return Searched(TINY, method, seed, METHODS[method])


def test_finished_searches_are_compared_on_one_page_and_others_named(tmp_path):
    runs = tuple(tiny(method, seed) for method in ("first-order", "amended") for seed in (0, 1))
    experiment = replace(EXPERIMENTS["collapse"], runs=runs)
    assert write_comparison_of(experiment, tmp_path) is None
    cell = {"inputs": 1, "nodes": [[["skip_connect", 0]]], "concat": [1]}
    for number, run in enumerate(runs):
        for epoch in range(2 if run is runs[-1] else 3):
            RunFolder(tmp_path / "tiny" / run.name).append(
                "search/epochs",
                {
                    "epoch": epoch,
                    "operations": ["none", "skip_connect"],
                    "mixing": {"cell": [[0.4, 0.6]]},
                    "genotype": {"cell": cell},
                    "val_accuracy_percent": 50.0 + number,
                },
            )
    page = write_comparison_of(experiment, tmp_path)
    assert page == tmp_path / "tiny" / "compare.html"
    text = page.read_text("utf-8")
    assert "3 runs of 2 settings. Not finished: amended/amended-seed-1." in text
    assert "50.50 ± 0.71" in text  # of 50 and 51, with n − 1
    assert "first-order-seed-1" in text


def test_a_search_that_ended_by_its_own_rule_is_compared_and_settings_are_kept_apart(tmp_path):
    """Of one name in two settings: one stopped by a rule, one measured up to its last epoch."""
    other = replace(TINY, name="other")
    measured = MeasuredSearch(other, "first-order", 0, METHODS["first-order"], after=(0, 1))
    experiment = replace(EXPERIMENTS["collapse"], runs=(tiny(), measured))
    cell = {"inputs": 1, "nodes": [[["skip_connect", 0]]], "concat": [1]}
    for run in experiment.runs:
        RunFolder(tmp_path / run.setting.name / run.name).append(
            "search/epochs",
            {
                "epoch": 0,
                "operations": ["none", "skip_connect"],
                "mixing": {"cell": [[0.4, 0.6]]},
                "genotype": {"cell": cell},
                "val_accuracy_percent": 50.0,
            },
        )
    page = write_comparison_of(experiment, tmp_path)
    assert page is not None
    assert "1 run of 2 settings. Not finished: tiny, first-order/first-order-seed-0." in (
        page.read_text("utf-8")
    )
    RunFolder(tmp_path / "tiny" / tiny().name).append(ENDED, {"stopped": {}})
    write_comparison_of(experiment, tmp_path)
    assert "2 runs of 2 settings. None is missing." in page.read_text("utf-8")


def test_runs_of_one_name_in_two_settings_are_both_told_of(tmp_path, capsys):
    runs = [tiny(), replace(tiny(), setting=replace(TINY, name="other"))]
    place = Place(tmp_path, tmp_path / "j.jsonl", "data", None, "cpu", deadline=0.0)
    work_through(runs, place, 1)
    late = "not begun: the time is over"
    assert capsys.readouterr().out == (
        f"tiny, first-order-seed-0: {late}\nother, first-order-seed-0: {late}\n"
    )


@pytest.mark.parametrize("other", [name for name in METHODS if name != "first-order"])
def test_runs_of_one_seed_begin_alike_and_see_the_same_batches(other):
    images = IMAGES.load()
    first, second = (
        Searching(run.config, SearchData.of(images, 0.5, run.seed))
        for run in (tiny("first-order"), tiny(other))
    )
    assert torch.equal(first.data.train.images, second.data.train.images)
    for name, weights in first.supernet.state_dict().items():
        assert torch.equal(weights, second.supernet.state_dict()[name])
    assert all(torch.equal(first.alpha[kind], second.alpha[kind]) for kind in first.alpha)
    for step in (0, 2, 7):
        for one, same in zip(first.batches.at(1, step), second.batches.at(1, step), strict=True):
            assert torch.equal(one.images, same.images)
            assert torch.equal(one.labels, same.labels)


def test_runs_of_two_seeds_do_not():
    images = IMAGES.load()
    first, second = (
        Searching(run.config, SearchData.of(images, 0.5, run.seed))
        for run in (tiny(seed=0), tiny(seed=1))
    )
    assert not torch.equal(first.alpha["cell"], second.alpha["cell"])
    assert not torch.equal(first.batches.at(0, 0)[0].images, second.batches.at(0, 0)[0].images)


def timeless(journal: Path) -> dict[int, dict[str, object]]:
    """The epochs of a journal without the clock; of several lines of one epoch the last."""
    lines = [line for line in journal_lines([journal]) if line["kind"] == "epoch"]
    return {line["epoch"]: {**line, "wall_seconds": None} for line in lines}


def test_a_stopped_run_goes_on_to_the_same_numbers(tmp_path):
    images = IMAGES.load()
    assert carry_out(tiny(), images, tmp_path / "a", tmp_path / "a.jsonl") == "complete"
    stopped, times = "stopped", 0
    while stopped == "stopped":
        # the deadline is over from the beginning: one step at a time
        stopped = carry_out(
            tiny(),
            images,
            tmp_path / "b",
            tmp_path / "b.jsonl",
            deadline=0.0 if times < 4 else None,
        )
        times += 1
    assert (stopped, times) == ("complete", 5)
    whole, cut = timeless(tmp_path / "a.jsonl"), timeless(tmp_path / "b.jsonl")
    assert whole.keys() == {0, 1, 2}
    assert whole == cut


def test_a_run_folder_of_another_setting_is_refused(tmp_path):
    images = IMAGES.load()
    carry_out(tiny(), images, tmp_path / "a", tmp_path / "a.jsonl", deadline=0.0)
    with pytest.raises(ValueError, match=r"other settings \(search.seed: 0 ≠ 1"):
        carry_out(tiny(seed=1), images, tmp_path / "a", tmp_path / "a.jsonl")


def test_a_journal_folds_into_a_record_and_a_shorter_one_never_replaces_it(tmp_path):
    journal = tmp_path / "j.jsonl"
    carry_out(tiny("amended"), IMAGES.load(), tmp_path / "a", journal)
    (record,) = fold(journal_lines([journal]), ACCURACY)
    assert (record.method, record.seed, record.complete, record.epochs) == ("amended", 0, True, 3)
    assert record.curve("table_cifar10_percent") == [50.0] * 3
    total = sum(record.weight(operation)[-1] for operation in TINY.search.space.operations)
    assert total == pytest.approx(1, abs=5 * 1e-6)  # five numbers of six digits
    assert all(0 < angle < 180 for angle in record.curve("angle_degrees"))
    assert "0" not in "".join(record.content["cells_without_none"])
    path = write_record(record, tmp_path / "docs")
    assert path is not None
    assert read_records(tmp_path / "docs") == [record]
    lines = [line for line in journal_lines([journal]) if line.get("epoch") != 2]
    (shorter,) = fold(lines, ACCURACY)
    assert (shorter.epochs, shorter.complete) == (2, False)
    assert write_record(shorter, tmp_path / "docs") is None
    assert read_records(tmp_path / "docs") == [record]


def test_a_torn_last_line_is_left_out_and_a_torn_one_before_is_an_error(tmp_path):
    journal = tmp_path / "j.jsonl"
    journal.write_text('{"kind": "run"}\n{"kind": "ep')
    assert journal_lines([journal]) == [{"kind": "run"}]
    journal.write_text('{"kind": "ru\n{"kind": "epoch"}\n')
    with pytest.raises(ValueError, match="line 1 is not JSON"):
        journal_lines([journal])


def made(cells: list[str], method: str = "first-order", seed: int = 0, none: float = 0.1):
    """A record with given cells and nothing else of interest."""
    return made_record(
        SMALL.name,
        method,
        seed,
        complete=len(cells) == 200,
        cells=cells,
        cells_without_none=cells,
        weights={"none": [none] * len(cells)},
        curves={"table_cifar10_percent_without_none": [90.0 + seed] * len(cells)},
    )


SKIPS, GOOD = "111113", "333133"


@pytest.mark.parametrize(
    ("cells", "epoch"),
    [
        ([GOOD] * 90 + [SKIPS] * 10, 91),
        ([GOOD] * 91 + [SKIPS] * 9, None),
        ([SKIPS] * 99 + [GOOD], None),
        ([SKIPS] * 100, 1),
        (["111133"] * 100, None),
    ],
)
def test_a_run_has_collapsed_if_it_stays_collapsed_for_ten_epochs_to_the_end(cells, epoch):
    assert collapse_epoch(made(cells)) == epoch


def runs(cells: list[list[str]]) -> list[RunRecord]:
    return [made(one, seed=seed) for seed, one in enumerate(cells)]


BAD, FINE, SHORT = [SKIPS] * HORIZON, [GOOD] * HORIZON, [SKIPS] * (HORIZON - 1)


@pytest.mark.parametrize(
    ("cells", "all_verdict", "none_verdict"),
    [
        ([], NOT_RUN, NOT_RUN),
        ([SHORT], UNDECIDED, UNDECIDED),
        ([SHORT, SHORT, SHORT], UNDECIDED, UNDECIDED),
        ([BAD, BAD], UNDECIDED, NOT_SUPPORTED),
        ([FINE, FINE], UNDECIDED, UNDECIDED),
        ([BAD, BAD, BAD], SUPPORTED, NOT_SUPPORTED),
        ([BAD, BAD, FINE], UNDECIDED, NOT_SUPPORTED),
        ([BAD, FINE, FINE], NOT_SUPPORTED, NOT_SUPPORTED),
        ([FINE, FINE, FINE], NOT_SUPPORTED, SUPPORTED),
        ([FINE, FINE, SHORT], UNDECIDED, UNDECIDED),
    ],
)
def test_rules_decide_as_they_say(cells, all_verdict, none_verdict):
    records = runs(cells)
    assert all_do(has_collapsed, ["first-order"], "x")(records)[0] == all_verdict
    assert none_does(has_collapsed, "first-order", "x")(records)[0] == none_verdict
    opposite = {SUPPORTED: NOT_SUPPORTED, NOT_SUPPORTED: SUPPORTED}.get(none_verdict, none_verdict)
    assert any_does(has_collapsed, "first-order", "x")(records)[0] == opposite


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ([], NOT_RUN),
        ([5.0, 5.1], UNDECIDED),
        ([1.0, 1.1, 1.2], SUPPORTED),
        ([-1.0, -1.1, -1.2], NOT_SUPPORTED),
        ([1.0, -1.1, 1.2], UNDECIDED),
    ],
)
def test_an_interval_decides_only_where_it_leaves_the_line_on_one_side(values, verdict):
    assert above(lambda _, horizon: values, "x")([])[0] == verdict


def test_runs_that_are_too_short_are_shown_and_decide_nothing():
    rule = above(lambda _, horizon: [] if horizon == HORIZON else [1.0, 1.1, 1.2], "x")
    verdict, numbers = rule([])
    assert verdict == UNDECIDED
    assert "With shorter runs, which do not count: +1.10" in numbers
    _, numbers = all_do(has_collapsed, ["first-order"], "It did")(runs([BAD, SHORT]))
    assert numbers == (
        "It did in 1 of 1 runs of 100 epochs or more. With shorter runs, which do not count: "
        "in 2 of 2 runs."
    )


def test_the_interval_is_students():
    """n = 3: t at 97.5 % with two degrees of freedom is 4.302653 in every table."""
    found = interval([1.0, 2.0, 3.0])
    assert (found.mean, found.n) == (2.0, 3)
    assert found.high - found.mean == pytest.approx(4.302653 / math.sqrt(3), abs=1e-6)
    assert interval([7.0]).low == -math.inf


def test_packed_images_train_with_the_same_bits(tmp_path):
    images, path = cifar10_images(200, 50), tmp_path / "p.npz"
    pack(SMALL, images, path)
    found = unpack(SMALL, path)
    config = replace(SMALL.search, batch_size=16, seed=1)
    first, second = (
        Searching(config, SearchData.of(each, 0.5, 1)).batches for each in (images, found)
    )
    for one, same in zip(first.at(3, 2), second.at(3, 2), strict=True):
        assert torch.equal(one.images, same.images)
        assert torch.equal(one.labels, same.labels)
    assert torch.equal(images.test.images, found.test.images)
    assert (images.class_names, images.normalisation) == (found.class_names, found.normalisation)
    with pytest.raises(ValueError, match="another setting"):
        unpack(replace(SMALL, data=replace(SMALL.data, image_size=8)), path)
    with np.load(path) as content:
        arrays = dict(content)
    arrays["train_images"][0, 0, 0, 0] ^= 1
    np.savez_compressed(path, **arrays)
    with pytest.raises(ValueError, match="is damaged"):
        unpack(SMALL, path)


def test_what_is_missing_are_runs_without_a_complete_record():
    experiment = EXPERIMENTS["collapse"]
    assert missing(experiment, []) == list(experiment.runs)
    done = [made([GOOD] * 200, method="amended", seed=1), made([GOOD] * 199, seed=0)]
    left = {run.name for run in missing(experiment, done)}
    assert {run.name for run in experiment.runs} - left == {"amended-seed-1"}
    only = missing(experiment, [], "amended,first-order-seed-2")
    assert [run.name for run in only] == [
        *("amended-seed-0", "amended-seed-1", "first-order-seed-2", "amended-seed-2")
    ]


def test_every_experiment_that_is_defined_is_in_the_catalogue():
    """One that is left out has no page and cannot be run."""
    folder = Path(pages.__file__).parent
    modules = [import_module(f"benchmarks.experiments.{p.stem}") for p in folder.glob("[a-z]*.py")]
    defined = {v.name for m in modules for v in vars(m).values() if isinstance(v, Experiment)}
    assert defined == EXPERIMENTS.keys()


def test_names_of_records_are_unique_and_no_run_is_planned_twice():
    for experiment in EXPERIMENTS.values():
        keys = [(run.setting.name, run.name) for run in experiment.runs]
        assert len(keys) == len(set(keys))


def test_the_accuracy_of_chance_is_the_tables():
    rows = AccuracyTable.read(real("nas_tables/nasbench201.csv.gz")).rows
    values = [row["table_cifar10_percent"] for ops, row in rows.items() if "0" not in ops]
    assert sum(values) / len(values) == pytest.approx(RANDOM_CELL_PERCENT, abs=0.005)


@pytest.mark.parametrize("name", sorted(EXPERIMENTS))
def test_pages_and_figures_are_those_of_the_records(name):
    """Else: python -m benchmarks.experiments NAME --page."""
    mine = EXPERIMENTS[name].mine(read_records())
    written = (pages.DOCS / f"{name}.md").read_text(encoding="utf-8")
    assert written == pages.page(EXPERIMENTS[name], mine, read_all())
    if mine:
        figure = (pages.DOCS / f"{name}.svg").read_text(encoding="utf-8")
        assert f"records {pages.digest_of(mine)}" in figure


@pytest.mark.parametrize("name", sorted(EXPERIMENTS))
def test_words_about_the_runs_are_about_these_records(name):
    """Else read the page again, mend `reading`, and put the page's digest into `read_from`."""
    experiment = EXPERIMENTS[name]
    if experiment.reading:
        assert experiment.read_from == pages.digest_of(experiment.mine(read_records()))


def test_the_differences_in_the_words_on_collapse_are_those_of_the_rule():
    experiment = EXPERIMENTS["collapse"]
    mine = experiment.mine(read_records())
    found = [
        f"{a:.1f}" for a in at_common_end(mine, HORIZON, "amended", "first-order", accuracy_at)
    ]
    said = f"the differences are {', '.join(found[:-1])} and {found[-1]} points"
    assert said in experiment.reading


def test_a_method_of_many_pages_has_one_colour_on_all_and_no_two_lines_of_a_page_look_alike():
    for experiment in EXPERIMENTS.values():
        methods = list(dict.fromkeys(run.method for run in experiment.runs))
        looks = looks_of(methods)
        assert [looks[name]["color"] for name in ("first-order", "amended")] == ["C0", "C1"]
        assert len({tuple(look.values()) for look in looks.values()}) == len(looks) >= len(methods)


def test_a_line_is_named_by_what_its_setting_alone_has():
    ones = [made_record(f"small-16px-{cells}-cells", "amended", 0) for cells in (3, 15, 12)]
    assert [label(one, ones) for one in ones] == [f"amended, {n} cells" for n in (3, 15, 12)]
    assert label(ones[0], ones[:1]) == "amended"


def test_records_of_further_machines_are_shown_and_decide_nothing():
    ones = [made([GOOD] * 120), made([SKIPS] * 110)]
    experiment = EXPERIMENTS["collapse"]
    assert experiment.others(ones) == ones
    assert experiment.others([made([GOOD] * 120, method="nobody")]) == []


def test_the_overview_counts_every_claim_and_shows_those_that_have_runs():
    text = (pages.DOCS / "README.md").read_text(encoding="utf-8")
    assert text == pages.with_table(text, pages.overview(read_records()))


def test_records_are_the_runs_of_their_definitions():
    """A record whose settings are no longer those of its experiment answers another question."""
    from darts.config.as_json import differences

    planned = {
        (run.setting.name, run.method, run.seed): run
        for experiment in EXPERIMENTS.values()
        for run in experiment.runs
    }
    for record in read_records():
        run = planned[record.setting, record.method, record.seed]
        assert not differences(record.content["config"], run.content)
