"""The examples of docs/OWN_DATA.md: a set is written, searched and retrained; two other tasks."""

import json
from types import SimpleNamespace

import numpy as np
from PIL import Image

from darts import cli
from darts.data.sets import DATA_SETS
from docs.examples import own_images, own_tasks
from tests import documents
from tests.darts.training.tiny import retrain_config, search_config

SMALL = (
    *("--estimator=first-order", "--search.epochs=1", "--search.cells=2", "--search.channels=2"),
    *("--retrain.epochs=1", "--retrain.cells=2", "--retrain.channels=2", "--device=cpu"),
    *("--search.batch-size=5", "--retrain.batch-size=10"),
)


def test_a_folder_and_a_table_of_16_bit_images_go_from_nothing_to_a_report(tmp_path):
    folder = own_images.main(tmp_path / "set", per_class=10)
    with Image.open(folder / "temple/000.png") as picture:
        values = np.asarray(picture)
    assert values.dtype == np.uint16
    assert 255 < values.max() <= 4080
    whole = ("full-search", "--dataset=folder", *SMALL)
    classes = ("--data-root", str(folder), "--run-dir", str(tmp_path / "classes"))
    assert cli.main([*whole, *classes]) == 0
    table = ("--data-root", str(folder / "labels.csv"), "--task=regression")
    assert cli.main([*whole, *table, "--run-dir", str(tmp_path / "numbers")]) == 0
    for name, task in (("classes", "classification"), ("numbers", "regression")):
        data = json.loads((tmp_path / name / "data.json").read_text())
        assert data["shape"] == [1, 40, 56]
        assert data["task"]["name"] == task
        assert (tmp_path / name / "report.html").is_file()
    assert not data["mirror"]
    assert 500 < data["task"]["mean"][0] < 4080
    assert cli.main(["evaluate", str(tmp_path / "numbers")]) == 0


def test_the_blocks_of_the_page_run(tmp_path, monkeypatch, capsys):
    """With a search and a training of one epoch, and with images where a reader has own ones."""
    page = "docs/OWN_DATA.md"
    short = SimpleNamespace(search=search_config(epochs=1), retrain=retrain_config(epochs=1))
    monkeypatch.setattr("darts.from_python.OWN", short)
    monkeypatch.setattr("darts.cli.main", lambda: None)
    monkeypatch.setattr("darts.data.sets.DATA_SETS", dict(DATA_SETS))
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (60, 1, 8, 8), dtype=np.uint8)
    own = {"images": pixels, "labels": np.arange(60) % 2}
    for code, shown in documents.blocks(page):
        capsys.readouterr()
        exec(code, {**own, "load_my_scans": lambda: (own["images"], own["labels"])})
        assert shown is None or capsys.readouterr().out == shown
    assert (tmp_path / "runs/mine-retrained/report.html").is_file()


def test_two_other_tasks_are_learnt_on_digits(tmp_path):
    short = search_config(epochs=1), retrain_config(epochs=1)
    found = own_tasks.main(tmp_path, *short, most=100)
    assert set(found["regression"]) == {"mae", "rmse", "r2"}
    assert set(found["multi-label"]) == {"f1_percent", "exact_percent"}
    assert all(np.isfinite(list(measures.values())).all() for measures in found.values())
