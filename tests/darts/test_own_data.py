"""Own data from Python and by registration: runs, gone on with, and what is missing is said."""

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import TensorDataset

import darts
from darts import cli
from darts.data import ImageSet, sets
from darts.spaces.published import DARTS_V2
from darts.tasks import MultiLabel, Regression
from tests.darts.training.tiny import retrain_config, search_config

SEARCH = search_config(epochs=1)
RETRAIN = retrain_config(epochs=1, cutout=0)


def arrays(n=60, channels=2, height=6, width=9, seed=0):
    """Images whose label is what channel is brighter."""
    draw = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    images = draw.integers(0, 200, (n, channels, height, width)).astype(np.uint8)
    images[np.arange(n), labels] += 50
    return images, labels


@pytest.fixture
def registry():
    """What a test registers is forgotten."""
    tables = (sets.DATA_SETS, sets._FUNCTIONS, sets._TYPES)
    kept = [(table, dict(table)) for table in tables]
    yield
    for table, content in kept:
        table.clear()
        table.update(content)


def test_a_search_and_a_retraining_of_arrays_end_in_a_report_and_go_on(tmp_path, capsys):
    x, y = arrays()
    found = darts.search(x, y, config=SEARCH, run_dir=tmp_path / "search", class_names=["a", "b"])
    assert "48 training and 12 test images of 2×6×9" in capsys.readouterr().out
    trained = darts.retrain(
        found.genotype, x, y, config=RETRAIN, run_dir=tmp_path / "retrain", class_names=["a", "b"]
    )
    assert trained.test.images == 12
    for name in ("search", "retrain"):
        assert (tmp_path / name / "report.html").is_file()
    again = darts.search(x, y, config=SEARCH, run_dir=tmp_path / "search", class_names=["a", "b"])
    assert again.genotype == found.genotype
    with pytest.raises(ValueError, match=r"other settings \(search.epochs: 1 ≠ 2\)"):
        darts.search(x, y, config=replace(SEARCH, epochs=2), run_dir=tmp_path / "search")
    with pytest.raises(ValueError, match="The images are not those"):
        darts.search(255 - x, y, config=SEARCH, run_dir=tmp_path / "search")
    capsys.readouterr()
    assert cli.main(["evaluate", str(tmp_path / "retrain")]) != 0
    told = capsys.readouterr().err
    assert "were passed by a script as arrays" in told
    assert told.count("\n") == 1


def regression_data(n=60):
    draw = torch.Generator().manual_seed(0)
    images = torch.rand(n, 1, 6, 6, generator=draw)
    return images, images.mean(dim=(1, 2, 3)) * 100


def test_numbers_are_learnt_in_their_own_units(tmp_path):
    x, y = regression_data()
    found = darts.search(x, y, config=SEARCH, run_dir=tmp_path / "s", task="regression")
    assert set(found.val.measures) == {"mae", "rmse", "r2"}
    trained = darts.retrain(
        found.genotype, x, y, config=RETRAIN, run_dir=tmp_path / "r", task="regression"
    )
    assert 0 < trained.test.measures["mae"] < 100
    data = json.loads((tmp_path / "r/data.json").read_text())
    assert data["task"]["name"] == "regression"
    assert data["task"]["mean"][0] == pytest.approx(50, abs=2)
    network = json.loads((tmp_path / "r/retrain/network.json").read_text())
    assert network["task"] == data["task"]
    epochs = (tmp_path / "r/retrain/epochs.jsonl").read_text()
    assert '"train_mae"' in epochs
    assert "accuracy" not in epochs
    for name in ("s", "r"):
        page = (tmp_path / name / "report.html").read_text().lower()
        assert "mean absolute error" in page
        assert "accuracy" not in page.partition("<style")[0]
    with pytest.raises(ValueError, match="label-smoothing"):
        darts.retrain(
            found.genotype, x, y, config=replace(RETRAIN, label_smoothing=0.1), task="regression"
        )


def test_several_labels_are_learnt(tmp_path):
    x, _ = regression_data()
    y = torch.stack([x[:, 0, 0, 0] > 0.5, x[:, 0, 3, 3] > 0.5], dim=1)
    found = darts.search(x, y, config=SEARCH, run_dir=tmp_path / "s", task="multi-label")
    assert set(found.val.measures) == {"f1_percent", "exact_percent"}
    assert "macro f1" in (tmp_path / "s/report.html").read_text().lower()


def test_signals_are_images_of_one_row(tmp_path):
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(60, 3, 1, 40, generator=draw), torch.arange(60) % 2
    found = darts.search(x, y, config=replace(SEARCH, padding=4), run_dir=tmp_path / "s")
    trained = darts.retrain(found.genotype, x, y, config=RETRAIN, run_dir=tmp_path / "r")
    assert np.isfinite(trained.test.loss)


def test_a_dataset_of_torch_is_read_whole():
    x, y = (torch.from_numpy(part) for part in arrays())
    of_arrays, of_dataset = darts.image_set(x, y), darts.image_set(TensorDataset(x, y))
    assert of_dataset.train.digest() == of_arrays.train.digest()
    assert of_dataset.class_names == ("0", "1")


def test_pictures_with_a_palette_have_its_colours():
    """Their numbers are places in a table, which say nothing."""
    red, blue = (Image.new("RGB", (4, 4), colour) for colour in ((250, 0, 10), (0, 30, 240)))
    pictures = [(picture.quantize(2), label) for label, picture in enumerate((red, blue))] * 10
    data = darts.image_set(pictures)
    assert data.train.shape == (3, 4, 4)
    for label, colour in enumerate(((250, 0, 10), (0, 30, 240))):
        of_label = data.train.images[data.train.labels == label]
        assert of_label.unique(dim=0)[0, :, 0, 0].tolist() == list(colour)


def test_labels_have_the_meaning_that_they_say():
    x, y = arrays()
    named = darts.image_set(x, np.array(["cat", "dog"])[y])
    assert named.class_names == ("cat", "dog")
    gaps = darts.image_set(x, y * 7 + 3)
    assert gaps.class_names == ("3", "10")
    assert gaps.train.counts == (24, 24)
    assert darts.image_set(x, y / 2, task="regression").task == Regression((0.25,), (0.25,))
    assert darts.image_set(x, np.eye(2)[y], task="multi-label").task == MultiLabel()
    grey = darts.image_set(x[:, 0].astype(np.uint16) * 256, y)
    assert grey.train.shape == (1, 6, 9)
    assert float(grey.train.images.max()) > 255


X, Y = arrays()


class Random(TensorDataset):
    def __getitem__(self, index):
        return torch.rand(1, 4, 4), index % 2


@pytest.mark.parametrize(
    ("data", "labels", "about", "message"),
    [
        (X, None, {}, "has images and no labels"),
        (X, Y[:-1], {}, "60 images of data and 59 labels"),
        (X.transpose(0, 2, 3, 1), Y, {}, r"looks like \[n h w c\]"),
        (X[0, 0], Y[:6], {}, r"shape \[6, 9\]; they must be \[n c h w\]"),
        (X, Y / 2, {}, "whole numbers or text.* task='regression'"),
        (X, np.array([1, "a"] * 30, dtype=object), {}, "these mix int and str"),
        (X, Y, {"test": (X, np.array([1, "a"] * 30, dtype=object))}, "these mix int and str"),
        (torch.from_numpy(X).float().to_sparse(), Y, {}, "torch.sparse_coo, that is no array"),
        (X, Y, {"task": "guessing"}, "task='guessing': there are classification"),
        (X, Y, {"class_names": ["a"]}, "0…0 for 1 classes; found 0…1"),
        (X, Y, {"test": (X, Y + 1)}, "1 labels are none .* 2 classes, '2' first"),
        (X, Y, {"test": (X[:, :1], Y)}, "do not fit together: .* 2×6×9, 2 .* 1×6×9"),
        (X, Y, {"colour": True}, "8-bit images of 3 channels; found torch.uint8 of 2"),
        (X.astype(object), Y, {}, "are object; they must be numbers"),
        (np.full(X.shape, np.nan), Y, {}, "not finite"),
        (X, np.where(Y == 1, np.nan, Y), {"task": "regression"}, "30 of 60 labels are not finite"),
        (X, 20_240_000_000 + np.arange(60), {"task": "regression"}, "up to 20240000059, .* 17.32;"),
        (X, 1e300 * (1 + Y), {"task": "regression"}, "values up to 2e[+]300, .* inf off"),
        (Random(torch.zeros(60)), None, {}, "differs between two looks"),
        (torch.utils.data.DataLoader(TensorDataset(torch.zeros(4))), None, {}, "its dataset"),
        (iter([]), None, {}, "a dataset with a length"),
        (np.zeros_like(X), Y, {}, "one value, 0, everywhere"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(data, labels, about, message):
    with pytest.raises(ValueError, match=message):
        darts.image_set(data, labels, **about)


UNIT = X.astype("f4") / 255


@pytest.mark.parametrize(
    ("train", "test", "ours", "theirs"),
    [
        (X, UNIT, "uint8 from 0 to 249", r"float32 from 0 to 0\.\d+"),
        (UNIT, X, r"float32 from 0 to 0\.\d+", "uint8 from 0 to 249"),
        (UNIT, UNIT * 255, r"float32 from 0 to 0\.\d+", "float32 from 0 to 249"),
        (X.astype("i8"), UNIT, "float32 from 0 to 249", r"float32 from 0 to 0\.\d+"),
        (X > 100, (X > 100).astype("u1"), "uint8 from 0 to 255", "uint8 from 0 to 1,"),
    ],
)
def test_parts_of_two_types_or_scales_are_refused(train, test, ours, theirs, tmp_path):
    refusal = f"two scales: training images are {ours}, test images {theirs}.* divided by one"
    with pytest.raises(ValueError, match=refusal):
        darts.image_set(train, Y, test=(test, Y))
    with pytest.raises(ValueError, match=refusal):
        darts.retrain(DARTS_V2, train, Y, test=(test, Y), config=RETRAIN, run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_parts_of_one_scale_may_be_darker_or_black():
    for test in (X // 50, X * 0):
        darts.image_set(X, Y, test=(test, Y))
    darts.image_set(X.astype("i8"), Y, test=(X.astype("f8"), Y))


def test_numbers_of_types_that_numpy_lacks_keep_their_values():
    x, y = torch.from_numpy(X).bfloat16(), torch.from_numpy(Y).bfloat16()
    for given in (
        darts.image_set(x, y, task="regression"),
        darts.image_set(TensorDataset(x, y), task="regression"),
    ):
        plain = darts.image_set(x.float(), y.float(), task="regression")
        assert given.train.digest() == plain.train.digest()


@dataclass(frozen=True)
class Mine:
    """Images of five channels, not square."""

    name: ClassVar[str] = "mine"
    train_size: int | None = None

    def load(self) -> ImageSet:
        return darts.image_set(*arrays(channels=5), name="mine")


SMALL = (
    *("--dataset=mine", "--device=cpu", "--preset=digits-check", "--search.batch-size=10"),
    *("--retrain.batch-size=10", "--estimator=first-order", "--retrain.epochs=1"),
)


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize("factory", [Mine, lambda: Mine().load()], ids=["class", "function"])
def test_a_registered_name_stands_for_images_in_every_command(factory, tmp_path, capsys):
    run = str(tmp_path / "run")
    darts.register_data_set("mine", factory)
    assert cli.main(["full-search", *SMALL, "--run-dir", run]) == 0
    assert "of 5×6×9" in capsys.readouterr().out
    assert cli.main(["evaluate", run]) == 0
    assert cli.main(["full-search", "--resume", run]) == 0
    assert cli.main(["report", run]) == 0
    with pytest.raises(ValueError, match="a data set 'mine' already"):
        darts.register_data_set("mine", factory)
    for table in (sets.DATA_SETS, sets._FUNCTIONS):
        table.pop("mine", None)
    sets._TYPES.pop("Mine", None)
    capsys.readouterr()
    for command in (["evaluate", run], ["full-search", "--resume", run]):
        assert cli.main(command) != 0
        told = capsys.readouterr().err
        assert "register_data_set" in told
        assert told.count("\n") == 1
    assert cli.main(["report", run]) == 0  # records are enough


@pytest.mark.usefixtures("registry")
def test_what_cannot_be_registered_is_refused():
    for name, factory, message in (
        ("digits", Mine, "a data set 'digits' already"),
        ("yours", Mine, "the class variable name = 'yours'"),
        ("yours", 7, "give a function"),
    ):
        with pytest.raises(ValueError, match=message):
            darts.register_data_set(name, factory)
    darts.register_data_set("empty", lambda: 7)
    with pytest.raises(ValueError, match="registered as 'empty' returned int"):
        sets.DATA_SETS["empty"]().load()


@pytest.mark.usefixtures("registry")
def test_images_of_a_registered_class_are_held_to_what_those_of_a_function_are(tmp_path, capsys):
    whole = Mine().load()
    bytes_, shares = whole.train.images, whole.test.images.float() / 255
    made = {
        "on two scales": replace(whole, test=replace(whole.test, images=shares)),
        "3 class names for 2": replace(whole, class_names=("a", "b", "c")),
        "returned Tensor": bytes_,
    }
    for message, images in made.items():

        @dataclass(frozen=True)
        class Bad(Mine):
            name: ClassVar[str] = message

            def load(self, images=images):
                return images

        sets.DATA_SETS[message], sets._TYPES["Bad"] = Bad, Bad
        run = tmp_path / "run"
        for command in ("full-search", "random-search", "sweep"):
            stages = ["evaluation"] if command == "random-search" else ["search", "retrain"]
            small = [f"--{stage}.batch-size=10" for stage in stages]
            extra = ["--dataset", message, "--preset", "digits-check", "--run-dir", str(run)]
            assert cli.main([command, *extra, *small]) != 0
            assert message in capsys.readouterr().err, command
        with pytest.raises(ValueError, match=message):
            darts.search(Bad(), run_dir=run)
        assert not run.exists()


def test_darts_loads_no_torch_before_it_is_asked():
    code = "import darts, sys; assert 'torch' not in sys.modules; darts.search; print(dir(darts))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "register_data_set" in done.stdout
    assert Path(darts.__file__).name == "__init__.py"
