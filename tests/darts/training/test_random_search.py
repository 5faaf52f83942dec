"""Random search trains samples on one half, ranks them on the other, and keeps the best."""

import pytest

from darts.data.seeds import derive_seed
from darts.methods import RandomSearch
from darts.methods.random_search import random_genotype
from darts.records.run_folder import RunFolder
from darts.spaces import Genotype
from darts.training.evaluate_network import evaluate_network
from darts.training.export import export
from darts.training.random_search import STREAM, RandomSearchConfig, random_search
from darts.training.saved_network import from_run
from tests.darts.training.tiny import (
    TWO_EDGES,
    Follower,
    KilledError,
    images,
    new_run,
    retrain_config,
)

CONFIG = RandomSearchConfig(
    space=TWO_EDGES,
    random=RandomSearch(samples=4, keep=2),
    evaluation=retrain_config(epochs=2, batch_size=10),
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    run = new_run(tmp_path_factory.mktemp("random") / "run")
    return run, random_search(CONFIG, images(), run)


def test_the_best_two_of_the_samples_are_kept_best_first(finished):
    run, best = finished
    records = run.records(STREAM)
    assert len(records) == 4
    for number, record in enumerate(records):
        expected = random_genotype(TWO_EDGES, derive_seed(0, "sample", number))
        assert Genotype.from_dict(record["genotype"], TWO_EDGES) == expected
    accuracies = sorted((r["val_accuracy_percent"] for r in records), reverse=True)
    assert [sample.value for sample in best] == accuracies[:2]
    for place, sample in enumerate(best, start=1):
        assert Genotype.from_dict(run.read(f"genotype-{place}.json")) == sample.genotype
    assert run.read("genotype.json") == run.read("genotype-1.json")


def test_the_record_has_the_images_that_samples_are_trained_and_ranked_on(finished):
    run, _ = finished
    data = run.read("data.json")
    assert data["search"]["train_images"] + data["search"]["val_images"] == data["train_images"]
    assert sum(data["search"]["val_counts"]) == data["search"]["val_images"] == 30


def test_a_sample_is_evaluated_and_exported_like_the_network_of_a_run(finished, tmp_path):
    run, _ = finished
    for number, record in enumerate(run.records(STREAM)):
        sample = RunFolder.open(run.path / "samples" / str(number))
        found = evaluate_network(sample.path, images(), {}, batch_size=None, device="cpu")
        assert found["images"] == len(images().test)
        item = from_run(sample)
        assert item.blueprint.genotype.to_dict() == record["genotype"]
        assert item.facts["class_names"] == list(images().class_names)
        files = export(item, tmp_path / str(number), ())
        assert {"network.safetensors", "network.json"} <= {path.name for path in files}


def test_a_random_search_killed_in_its_third_sample_ends_the_same(finished, tmp_path):
    whole, best = finished
    count = 0

    class Third(Follower):
        def tick(self, stage, epoch, step):
            nonlocal count
            count += 1
            if count == 14:  # of 6 steps a sample
                raise KilledError

    killed = new_run(tmp_path / "run", Third())
    with pytest.raises(KilledError):
        random_search(CONFIG, images(), killed)
    assert len(killed.records(STREAM)) == 2
    assert random_search(CONFIG, images(), RunFolder.open(killed.path)) == best
    assert killed.records(STREAM) == whole.records(STREAM)
