"""Random search without a supernet: train samples shortly, and keep the best (§4.1.3)."""

from dataclasses import dataclass, field, replace

from darts.config.as_json import to_json
from darts.config.retrain import RetrainConfig
from darts.data import ImageSet, RetrainData, SearchData
from darts.data.seeds import derive_seed
from darts.methods import RandomSearch
from darts.methods.random_search import random_genotype
from darts.parallel.launch import CPU, Devices
from darts.records.data_record import record_images
from darts.records.run_folder import Record, RunFolder
from darts.spaces import S1_FIXED, Genotype, Space
from darts.training.retrain import retrain
from darts.training.retraining import require_network, training_batches

STREAM = "random/samples"
SAMPLES = "samples"
"""The folder of the samples' own, within that of the search."""


@dataclass(frozen=True)
class RandomSearchConfig:
    """Random search (§4.1.3).

    Args:
        space: the space that samples are drawn from.
        random: numbers of samples that are drawn and kept.
        evaluation: the short training of each sample, on one half of the training images.
        seed: seed of the samples, the split, and every training.
        train_share: share of the training set that samples are trained on; the rest ranks them.
    """

    space: Space = S1_FIXED
    random: RandomSearch = field(default_factory=RandomSearch)
    evaluation: RetrainConfig = field(default_factory=lambda: RetrainConfig(epochs=100))
    seed: int = 0
    train_share: float = 0.5


@dataclass(frozen=True)
class Sample:
    """A genotype with its accuracy, or another task's measure, on images it was not trained on."""

    number: int
    genotype: Genotype
    value: float


def random_search(
    config: RandomSearchConfig, images: ImageSet, run: RunFolder, *, devices: Devices = CPU
) -> list[Sample]:
    """Train and rank the samples, or go on; the best, best first, go to `genotype-1.json`, ...

    Sample k is trained in its own folder `samples/k` of the run. The test images are never used.

    Raises:
        ValueError: the images do not suffice, or the folder holds another random search.
    """
    halves = SearchData.of(images, config.train_share, config.seed)
    record_images(run, images, halves)
    data = _for_training(halves)
    done = {record["epoch"] for record in run.records(STREAM)}
    for number in range(config.random.samples):
        if number not in done:
            run.append(STREAM, _trained(config, number, data, run, devices))
    measure = images.task.measure
    samples = [
        Sample(
            record["epoch"],
            Genotype.from_dict(record["genotype"]),
            record[f"val_{measure.name}"],
        )
        for record in run.records(STREAM)
    ]
    best = sorted(samples, key=lambda sample: -measure.better(sample.value))[: config.random.keep]
    for place, sample_kept in enumerate(best, start=1):
        run.write(f"genotype-{place}.json", sample_kept.genotype.to_dict())
    run.write("genotype.json", best[0].genotype.to_dict())
    return best


def _trained(
    config: RandomSearchConfig, number: int, data: RetrainData, run: RunFolder, devices: Devices
) -> Record:
    """Train a sample in its own folder, or go on; its record."""
    genotype = _drawn(config, number)
    seed = derive_seed(config.seed, "evaluation", number) % 2**31
    evaluation = replace(config.evaluation, seed=seed, test_every=None)
    folder = run.path / SAMPLES / str(number)
    sample = (
        RunFolder.open(folder, run.listeners)
        if (folder / "config.json").is_file()
        else RunFolder.create(
            folder, to_json(evaluation), run.read("environment.json"), run.listeners
        )
    )
    sample.write("data.json", run.read("data.json"))
    trained = retrain(evaluation, genotype, data, sample, devices=devices)
    return {
        "epoch": number,
        "genotype": genotype.to_dict(),
        **trained.test.to_record("val"),
        "params_millions": trained.params_millions,
    }


def require_feasible(config: RandomSearchConfig, images: ImageSet) -> None:
    """Raise ValueError, before anything is written, if images or networks do not fit."""
    data = _for_training(SearchData.of(images, config.train_share, config.seed))
    training_batches(config.evaluation, data)
    images.task.require_smoothing(config.evaluation.label_smoothing)
    alike = isinstance(config.evaluation.channels, int)  # then shapes do not depend on the cell
    for number in range(1 if alike else config.random.samples):
        require_network(config.evaluation, _drawn(config, number), data)


def _drawn(config: RandomSearchConfig, number: int) -> Genotype:
    """The genotype of a sample."""
    return random_genotype(config.space, derive_seed(config.seed, "sample", number))


def _for_training(halves: SearchData) -> RetrainData:
    """Samples are trained on the first half and evaluated on the second."""
    return RetrainData(halves.train, halves.val, halves.normalisation, halves.mirror, halves.crop)
