"""Cells that were not searched for, trained as the found one is, to compare it with."""

from collections.abc import Mapping
from dataclasses import dataclass

from darts.config.as_json import to_json
from darts.config.full import FullConfig
from darts.data import ImageSet, RetrainData
from darts.data.seeds import derive_seed
from darts.methods.random_search import random_genotype
from darts.parallel.launch import Devices
from darts.records.run_folder import Listener, Record, RunFolder
from darts.records.shared_run import SharedRun
from darts.spaces import Genotype
from darts.spaces.published import DARTS_V2
from darts.training.answers import FILE, record_answers
from darts.training.retrain import retrain

FOLDER = "baselines"
PUBLISHED = "DARTS_V2"


def comparison_cells(config: FullConfig) -> Mapping[str, Genotype]:
    """By name: as many random cells of the searched space as are asked for, and a published one.

    The random ones are drawn uniformly, each from the run's seed and its number. DARTS_V2 is
    trained beside them where the space has cells of its kind: two inputs, normal and reduction.
    """
    if not config.baselines or config.search is None:
        return {}
    space, seed = config.search.space, config.search.seed
    cells = {
        f"random-{k + 1}": random_genotype(space, derive_seed(seed, "comparison cell", k))
        for k in range(config.baselines)
    }
    kinds = {cell.kind for cell in DARTS_V2.cells}
    if set(space.cell_kinds) == kinds and space.inputs == 2:
        cells[PUBLISHED] = DARTS_V2
    return cells


def train_comparison_cells(
    config: FullConfig, images: ImageSet, run: RunFolder, devices: Devices
) -> list[Record]:
    """Train, or go on training, each with the settings and seed of the found cell's retraining.

    A cell has a run folder of its own, `baselines/NAME`. The record of each holds its name,
    genotype, and `RetrainResult`.
    """
    found = []
    for name, genotype in comparison_cells(config).items():
        path = run.path / FOLDER / name
        listeners = tuple(_Under(f"{FOLDER}/{name}", listener) for listener in run.listeners)
        if devices.ranks.first and not (path / "config.json").is_file():
            alone = to_json(config) | {"search": None, "baselines": 0}
            RunFolder.create(path, alone, run.read("environment.json"), (), genotype.to_dict())
        folder = SharedRun.of(RunFolder(path, listeners), devices.ranks)
        run.note(f"Training {name} at the same budget, to compare with.")
        assert config.retrain is not None
        trained = retrain(config.retrain, genotype, RetrainData.of(images), folder, devices=devices)
        if devices.ranks.first and not folder.has(FILE):
            record_answers(folder, images, config.retrain.batch_size, devices.device)
        found.append({"name": name, "genotype": genotype.to_dict(), **trained.to_dict()})
    return found


@dataclass(frozen=True)
class _Under:
    """A listener that hears of a training under another name than of the run's own."""

    name: str
    listener: Listener

    def begin(
        self, stage: str, epochs: int, steps_per_epoch: int, position: tuple[int, int]
    ) -> None:
        self.listener.begin(self.name, epochs, steps_per_epoch, position)

    def tick(self, stage: str, epoch: int, step: int) -> None:
        self.listener.tick(self.name, epoch, step)

    def record(self, stream: str, record: Record) -> None:
        self.listener.record(f"{self.name}/{stream.rpartition('/')[2]}", record)

    def note(self, text: str) -> None:
        self.listener.note(text)

    def close(self) -> None:
        self.listener.close()
