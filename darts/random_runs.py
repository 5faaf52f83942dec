"""The command `random-search`: one folder for all samples, gone on with by the same command."""

from dataclasses import dataclass
from pathlib import Path

from darts.data import DataSet
from darts.reports.progress import LiveProgress
from darts.runs.config import differences, to_json
from darts.runs.devices import Devices
from darts.runs.environment import describe_environment
from darts.runs.random_search import RandomSearchConfig, random_search, require_feasible
from darts.runs.records import RunFolder


@dataclass(frozen=True)
class RandomRun:
    """A random search on a data set."""

    data: DataSet
    random_search: RandomSearchConfig


def run_random_search(config: RandomRun, path: Path, command: str, device: str) -> str:
    """Search, or go on with the search in `path`; a line about what was kept.

    Raises:
        ValueError: the folder holds a search with other settings, or the images do not suffice.
    """
    images = config.data.load()
    require_feasible(config.random_search, images)
    content, listeners = to_json(config), (LiveProgress(),)
    if (path / "config.json").is_file():
        run = RunFolder.open(path, listeners)
        unequal = differences(run.read("config.json"), content)
        if unequal:
            raise ValueError(
                f"{path} holds a random search with other settings ({'; '.join(unequal)}). Give "
                "the same command to go on with it, or --run-dir a new name."
            )
    else:
        run = RunFolder.create(path, content, describe_environment(device, command), listeners)
    best = random_search(config.random_search, images, run, devices=Devices(device))
    kept = ", ".join(f"sample {s.number} with {s.val_accuracy_percent:.2f} %" for s in best)
    return (
        f"kept {kept} (on images that they were not trained on) → {path}/genotype-1.json, ...; "
        f"retrain each: darts retrain --genotype {path}/genotype-1.json"
    )
