"""The main job goes through files: each stage once, the test images last."""

import base64

import pytest
import torch

from darts.data import Digits, LabelledImages, Normalisation, RetrainData
from darts.kernels import kernels
from darts.records.run_folder import RunFolder
from darts.spaces import Genotype
from darts.training import full
from darts.training.baselines import measure_baselines
from darts.training.full import full_run
from darts.training.retrain import retrain
from tests.darts.training.tiny import (
    Follower,
    KilledError,
    full_config,
    images,
    new_run,
    retrain_config,
    search_config,
)

SHORT = full_config(search=search_config(epochs=1), retrain=retrain_config(epochs=1))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    run = new_run(tmp_path_factory.mktemp("full") / "run", config=SHORT)
    return run, full_run(SHORT, images(), run)


def test_a_full_run_leaves_every_file_that_a_report_needs(finished):
    run, result = finished
    for name in ("config", "environment", "data", "genotype", "result"):
        assert run.has(f"{name}.json")
    assert run.read("environment.json")["kernels"] == kernels().reason
    summary = run.read("result.json")
    assert summary["retrain"]["test"]["accuracy_percent"] == result.retrain.test.accuracy_percent
    assert summary["search"]["genotype"] == run.read("genotype.json")
    assert 0 < summary["baselines"]["majority_percent"] < summary["baselines"]["logistic_percent"]


def test_a_run_that_died_in_the_second_stage_does_not_search_again(tmp_path):
    killed = new_run(tmp_path / "run", Follower(die_at=("retrain", 0, 1)), config=SHORT)
    with pytest.raises(KilledError):
        full_run(SHORT, images(), killed)
    follower = Follower()
    full_run(SHORT, images(), RunFolder.open(killed.path, (follower,)))
    assert follower.begun == [("search", (1, 0)), ("retrain", (0, 2))]
    assert {stream for stream, _ in follower.streams} == {"retrain/epochs"}


def test_cells_to_compare_with_are_trained_as_the_found_one_is_and_gone_on_with(
    tmp_path, monkeypatch
):
    """A random cell and DARTS_V2, each in a folder; killed in the first, the same bits follow."""
    config = full_config(
        search=search_config(epochs=1), retrain=retrain_config(epochs=1), baselines=1
    )
    monkeypatch.setattr(full, "measure_baselines", lambda *_: None)  # seconds, and not asked here
    died = ("baselines/random-1", 0, 1)
    killed = new_run(tmp_path / "killed", Follower(die_at=died), config=config)
    with pytest.raises(KilledError):
        full_run(config, images(), killed)
    follower = Follower()
    cells = full_run(config, images(), RunFolder.open(killed.path, (follower,))).cells
    assert ("baselines/random-1", (0, 2)) in follower.begun
    assert {stream for stream, _ in follower.streams} == {
        "baselines/random-1/epochs",
        "baselines/DARTS_V2/epochs",
    }
    assert [cell["name"] for cell in cells] == ["random-1", "DARTS_V2"]
    random = Genotype.from_dict(cells[0]["genotype"])
    random.require(config.search.space)
    alone = new_run(tmp_path / "alone", config=config)
    trained = retrain(config.retrain, random, RetrainData.of(images()), alone)
    assert trained.test.to_dict() == cells[0]["test"]


def test_answers_are_those_that_the_accuracy_counts(finished):
    run, result = finished
    answers = run.read("retrain/answers.json")
    right = sum(map(int.__eq__, answers["labels"], answers["answers"]))
    share = 100 * right / len(answers["labels"])
    assert share == pytest.approx(result.retrain.test.accuracy_percent)
    assert len(answers["mistakes"]) == min(12, len(answers["labels"]) - right)
    first = answers["mistakes"][0]
    assert base64.b64decode(first["png"]).startswith(b"\x89PNG")
    assert answers["labels"][first["image"]] != answers["answers"][first["image"]]


def test_search_and_training_never_see_a_test_image(tmp_path):
    """With other test images, everything up to the last evaluation is the same bits."""
    usual, changed = images(), images()
    noise = torch.randint(0, 17, changed.test.images.shape, dtype=torch.uint8)
    object.__setattr__(changed, "test", LabelledImages(noise, changed.test.labels, 10))
    runs = [new_run(tmp_path / name, config=SHORT) for name in ("usual", "changed")]
    for run, part in zip(runs, (usual, changed), strict=True):
        full_run(SHORT, part, run)
    paths = [run.path / "retrain" / "network.safetensors" for run in runs]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    accuracies = [run.read("result.json")["retrain"]["test"]["accuracy_percent"] for run in runs]
    assert accuracies[0] != accuracies[1]


def test_retraining_alone_takes_the_genotype_of_the_folder(finished, tmp_path):
    searched, _ = finished
    config = full_config(search=None, retrain=retrain_config(epochs=1))
    run = new_run(tmp_path / "run", config=config)
    run.write("genotype.json", searched.read("genotype.json"))
    result = full_run(config, images(), run)
    assert result.search is None
    assert result.retrain.test == finished[1].retrain.test


def test_the_baselines_are_right_where_the_answer_is_known():
    """Class 1 is bright, class 0 dark: a linear model is perfect, the majority has its share."""
    labels = torch.tensor([0] * 30 + [1] * 20)
    pixels = (labels * 200 + 20).to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 2, 2).contiguous()
    data = LabelledImages(pixels, labels, 2)
    test = LabelledImages(pixels[20:], labels[20:], 2)
    found = measure_baselines(data, test, Normalisation.measure(pixels), seed=0)
    assert found.logistic_percent == 100
    assert found.majority_percent == pytest.approx(100 * 10 / 30)
    assert found.converged


def test_no_linear_model_is_fitted_where_it_would_take_hours(monkeypatch):
    monkeypatch.setattr("darts.training.baselines.MOST_WORK", 1000)
    data = images()
    found = measure_baselines(data.train, data.test, data.normalisation, seed=0)
    assert (found.logistic_percent, found.penalty, found.converged) == (None, None, None)
    assert found.majority_percent == 100 * data.test.counts[0] / len(data.test)


def test_no_linear_model_is_fitted_where_a_class_has_too_few_images_to_hold_any_out():
    """A run on two images a class must not fail after hours, at its last step."""
    data = Digits(train_size=20).load()
    found = measure_baselines(data.train, data.test, data.normalisation, seed=0)
    assert found.logistic_percent is None
