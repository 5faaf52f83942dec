"""The sentences that open a report say what the records hold, and no more."""

import json
import os
import shutil

import pytest

from darts import cli
from darts.records.plan import FILE
from darts.records.run_folder import RunFolder
from darts.reports.answer import answer, beside, collapse_words, difference_words
from darts.reports.comparison import sentences, write_comparison
from darts.reports.entries import differing, gathered, groups_in
from darts.reports.html import write_report
from darts.reports.plots import step_panel
from darts.reports.search_part import search_part
from darts.reports.statistics import Interval
from darts.reports.summary import write_samples, write_summary
from darts.spaces.published import DARTS_V1, DARTS_V2
from tests.darts.training.tiny import new_run


def epochs(skips, weights):
    """Two epochs: the normal cell keeps so many skips of 8, skip's mean weight goes as given."""
    normal = [("skip_connect" if k < skips else "sep_conv_3x3", k % 2) for k in range(8)]
    genotype = DARTS_V2.to_dict() | {"normal": normal}
    names = ["skip_connect", "sep_conv_3x3"]
    return [
        {"operations": names, "genotype": genotype, "mixing": {"normal": [[w, 1 - w]]}}
        for w in weights
    ]


def test_a_search_is_collapsed_when_almost_all_operations_of_a_cell_are_skip():
    few = collapse_words(epochs(2, (0.3, 0.25)))
    assert few.startswith("The search did not collapse: skip-connects kept are 2 of 8 in the norm")
    assert "the mean weight of skip fell from 30.0 to 25.0 % over 2 epochs" in few
    assert few.endswith("this space does not have the operation “none”.")
    assert collapse_words(epochs(6, (0.3, 0.3))).startswith("The search did not collapse")
    for skips in (7, 8):
        many = collapse_words(epochs(skips, (0.5, 0.9)))
        assert many.startswith("The search collapsed: almost all operations of the normal cell are")
        assert "rose from 50.0 to 90.0 %" in many


def test_a_difference_within_noise_is_called_so():
    assert difference_words(0.45, Interval(-0.7, 1.6)) == (
        "0.45 points more (−0.70 to +1.60, within noise) than"
    )
    assert difference_words(-2.0, Interval(-3.0, -1.0)) == "2.00 points less (−3.00 to −1.00) than"
    assert difference_words(0.0, None) == "as many as"


def test_the_answer_names_what_the_network_stands_beside(run):
    result, said = run.read("result.json"), answer(run)
    assert len(said) == 3
    others = {entry.name: entry for entry in beside(run)}
    assert set(others) == {"Commonest class", "Logistic regression", "Random cell 1", "DARTS_V2"}
    for cell in result["cells"]:
        name = cell["name"].replace("random-", "Random cell ")
        assert others[name].percent == cell["test"]["accuracy_percent"]
        assert others[name].paired
        own = result["retrain"]["test"]["accuracy_percent"]
        middle = (others[name].difference.low + others[name].difference.high) / 2
        assert middle == pytest.approx(own - others[name].percent, abs=0.1)
    assert f"{result['retrain']['test']['accuracy_percent']:.2f} % of 449 test images" in said[2]


def test_a_preset_that_only_checks_gets_no_statistics(run, tmp_path):
    shutil.copytree(run.path, tmp_path / "check")
    copy = RunFolder(tmp_path / "check")
    copy.write("config.json", copy.read("config.json") | {"preset": "digits-check"})
    shown = write_report(copy)
    assert shown.startswith("This preset only checks that everything runs.")
    page = (copy.path / "report.html").read_text("utf-8")
    assert "This preset only checks" in page
    assert "interval" not in page.replace("no statistics", "")
    assert "points" not in shown
    assert all(entry.difference is None for entry in beside(copy))
    (check,) = sentences(groups_in(copy.path))
    assert "no statistics are made" in check
    shutil.copytree(copy.path, tmp_path / "runs" / "seed-0")
    shutil.copytree(copy.path, tmp_path / "runs" / "seed-1")
    assert write_summary(tmp_path / "runs").startswith("2 runs that only check that everything")
    page = (tmp_path / "runs" / "report.html").read_text("utf-8")
    assert "±" not in page
    assert "interval" not in page
    assert "sd" not in groups_in(tmp_path / "runs")[0].statistics()["test_accuracy_percent"]


def test_the_angle_is_drawn_where_there_are_two_terms_alone(run, tmp_path):
    config = run.read("config.json")
    titles = [c["caption"] for c in search_part(config, run)["search_charts"]]
    assert any("The angle says" in title for title in titles)
    shutil.copytree(run.path, tmp_path / "first")
    first = RunFolder(tmp_path / "first")
    lines = [json.loads(x) for x in (first.path / "search/steps.jsonl").read_text().splitlines()]
    lines = [x | {"implicit_norm": 0.0, "angle_degrees": None} for x in lines]
    (first.path / "search/steps.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    titles = [c["caption"] for c in search_part(config, first)["search_charts"]]
    assert not any("The angle says" in title for title in titles)
    assert any("has no other term" in title for title in titles)


def test_a_chart_of_few_steps_has_no_halves_of_steps():
    steps = [{"direct_norm": 0.1 * number} for number in (1, 2, 3, 4)]
    drawn = step_panel("Norm", steps, {"direct_norm": ("black", "‖g₁‖")}, "norms")
    assert ">4<" in drawn
    assert ">1.5<" not in drawn


def changed(run, path, seed, accuracy, **search):
    """A copy of a run with another seed, result and search setting; its own answers left out."""
    shutil.copytree(run.path, path)
    (path / "retrain/answers.json").unlink()
    copy = RunFolder(path)
    config, result = copy.read("config.json"), copy.read("result.json")
    config["search"] |= {"seed": seed, **search}
    config["retrain"]["seed"] = seed
    result["retrain"]["test"]["accuracy_percent"] = accuracy
    copy.write("config.json", config)
    copy.write("result.json", result)
    return path


def test_runs_are_compared_by_settings_with_bands_and_intervals(run, tmp_path, capsys):
    high = [changed(run, tmp_path / f"a{k}", k, 95.0 + k) for k in range(3)]
    low = [changed(run, tmp_path / f"b{k}", k, 90.0 + k, channels=3) for k in range(3)]
    groups = gathered([*high, *low, high[0], high[0] / ".." / high[0].name])  # two named again
    assert [(group.name, len(group.entries)) for group in groups] == [("2", 3), ("3", 3)]
    assert differing(groups) == [["--search.channels", "2", "3"]]
    output = tmp_path / "out" / "page.html"
    paths = map(str, [*high, *low])
    assert cli.main(["compare", *paths, "--output", str(output)]) == 0
    shown = capsys.readouterr().out
    assert "2 has the highest test accuracy: 96.00 ± 1.00 % (n = 3)." in shown
    assert "5.00 points more (+2.73 to +7.27) than 3" in shown  # Welch, t with 4 degrees: 2.776
    page = output.read_text("utf-8")
    for text in ("--search.channels", "within noise", "../a0/report.html", "Welch"):
        assert text in page
    with pytest.raises(FileNotFoundError):
        gathered([tmp_path / "nothing"])
    assert cli.main(["compare"]) == 2


def test_single_runs_are_compared_image_by_image_or_by_their_numbers(run, tmp_path):
    other = changed(run, tmp_path / "other", 0, 12.0, channels=3)
    write_comparison(tmp_path / "page.html", "x", gathered([run.path, other]))
    assert "choice of test images<" in (tmp_path / "page.html").read_text("utf-8")
    shutil.copy(run.path / "retrain/answers.json", other / "retrain/answers.json")
    write_comparison(tmp_path / "page.html", "x", gathered([run.path, other]))
    assert "choice of test images, in pairs" in (tmp_path / "page.html").read_text("utf-8")


def with_input(path, name, **changes):
    """The run in `path` with other entries in one of its files."""
    copy = RunFolder(path)
    copy.write(name, {**(copy.read(name) if copy.has(name) else {}), **changes})
    return path


def retraining(run, path, seed, accuracy, genotype):
    """One of a genotype that was given, which no config names."""
    made = changed(run, path, seed, accuracy)
    copy = RunFolder(made)
    copy.write("config.json", copy.read("config.json") | {"search": None})
    copy.write("genotype.json", genotype.to_dict())
    return made


def test_retrainings_of_two_cells_are_two_settings(run, tmp_path):
    one = [retraining(run, tmp_path / f"a{k}", k, 95.0 + k, DARTS_V1) for k in range(2)]
    other = [retraining(run, tmp_path / f"b{k}", k, 90.0 + k, DARTS_V2) for k in range(2)]
    groups = gathered([*one, *other])
    assert [(group.name, len(group.entries)) for group in groups] == [("a0", 2), ("b0", 2)]
    ((option, *values),) = differing(groups)
    assert option == "--genotype"
    assert len(set(values)) == 2
    assert sentences(groups)[1].startswith("It has 5.00 points more")


def test_runs_on_other_images_or_tables_are_another_setting(run, tmp_path):
    """A config has the place of a folder or a table, and not what lies there."""
    first = changed(run, tmp_path / "first", 0, 95.0)
    images = with_input(changed(run, tmp_path / "images", 1, 90.0), "data.json", test_digest="0")
    table = with_input(changed(run, tmp_path / "table", 2, 90.0), "latency.json", cells=5)
    timed = with_input(changed(run, tmp_path / "timed", 3, 80.0), "latency.json", cells=6)
    assert [group.name for group in gathered([first, images])] == ["first", "images"]
    assert [group.name for group in gathered([table, timed])] == ["table", "timed"]
    assert sentences(gathered([first, images]))[1].endswith("; the two had other test images.")


def test_answers_to_other_images_are_no_pairs(run, tmp_path):
    other = changed(run, tmp_path / "other", 0, 12.0, channels=3)
    shutil.copy(run.path / "retrain/answers.json", other / "retrain/answers.json")
    with_input(other, "data.json", test_digest="0")
    write_comparison(tmp_path / "page.html", "x", gathered([run.path, other]))
    assert "in pairs" not in (tmp_path / "page.html").read_text("utf-8")


def test_what_is_no_further_draw_is_said(run, tmp_path):
    runs = [changed(run, tmp_path / f"a{k}", k % 2, 95.0 + k) for k in range(3)]
    said = sentences(gathered(runs))
    assert said[1:] == [
        "Runs of a0 that repeat a seed (1 of 3) are no further draws: the deviation is too small."
    ]
    seeds = tmp_path / "several"
    for k in range(2):
        with_input(changed(run, seeds / f"seed-{k}", k, 95.0), "data.json", test_digest=str(k))
    assert sentences(groups_in(seeds))[1:] == [
        "The runs of several did not have the same test images: their mean mixes data sets."
    ]


def test_the_samples_of_a_random_search_end_in_the_same_page(tmp_path):
    search = RunFolder(tmp_path)
    for number, percent in enumerate((50.0, 70.0)):
        record = {"epoch": number, "val_accuracy_percent": percent, "params_millions": 0.5}
        search.append("random/samples", record | {"genotype": DARTS_V2.to_dict()})
    assert write_samples(tmp_path).startswith("report: ")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert page.index("sample 1") < page.index("sample 0")
    assert "6.00" not in page.split("Every run")[0]
    assert "samples: accuracy on held-out training images 60.00 ± 14.14 % (n = 2)." in page


def test_report_without_a_path_takes_the_newest_run_or_sweep(run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["report"]) == 2
    assert "there is none in runs/" in capsys.readouterr().err
    for age, name in ((20, "new"), (30, "old")):
        shutil.copytree(run.path, tmp_path / "runs" / name)
        stamp = (tmp_path / "runs" / name / "config.json").stat().st_mtime - age
        os.utime(tmp_path / "runs" / name / "config.json", (stamp, stamp))
    (tmp_path / "runs/new/report.html").unlink()
    assert cli.main(["report"]) == 0
    assert "report: runs/new/report.html" in capsys.readouterr().out
    (new_run(tmp_path / "runs/sweep/a/seed-0").path / "config.json").touch()
    RunFolder(tmp_path / "runs/sweep").write(FILE, {"settings": {}, "seeds": []})
    assert cli.main(["report"]) == 1
    assert "No trial of the sweep in runs/sweep is finished" in capsys.readouterr().err
