"""A network with the facts that its user needs, as a folder holds it."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from safetensors.torch import save
from torch import Tensor

from darts.data import RetrainData
from darts.data.seeds import derive_seed, seeded
from darts.networks import DerivedNetwork
from darts.networks.blueprint import DESCRIPTION, FORMAT, WEIGHTS, Blueprint, describe, load_network
from darts.networks.counting import count_parameters
from darts.networks.width import multiply_adds
from darts.records.run_folder import RunFolder
from darts.records.writing import write_atomically
from darts.training.evaluation import Evaluation

RETRAINED = "retrain"
"""The folder of its network within a run's."""


@dataclass(frozen=True)
class SavedNetwork:
    """A network and its facts.

    Args:
        blueprint: the sizes and cells that it is built from.
        weights: its state, without an auxiliary head, on the CPU.
        image: (height, width) of its images.
        facts: further entries of network.json: normalisation, class names, origin.
    """

    blueprint: Blueprint
    weights: dict[str, Tensor]
    image: tuple[int, int]
    facts: dict[str, Any]

    @staticmethod
    def trained(
        blueprint: Blueprint,
        weights: dict[str, Tensor],
        data: RetrainData,
        config: Any,
        test: Evaluation,
    ) -> "SavedNetwork":
        """One that was trained with a config, JSON, and evaluated once."""
        facts = {
            "trained": True,
            "class_names": None,
            "normalisation": asdict(data.normalisation),
            "test": test.to_dict(),
            "task": data.train.task.to_dict(),
            "run": {"config": config},
        }
        return SavedNetwork(blueprint, weights, data.train.shape[1:], facts)

    def network(self) -> DerivedNetwork:
        """In evaluation mode."""
        network = self.blueprint.build()
        network.load_state_dict(self.weights)
        return network.eval()

    def write(self, folder: Path, files: Mapping[str, bytes] = MappingProxyType({})) -> list[Path]:
        """Write network.safetensors, `files`, and last network.json; their paths.

        A folder with network.json is so a whole one.
        """
        weights = save({name: value.contiguous() for name, value in self.weights.items()})
        description = {
            "format": FORMAT,
            **self.blueprint.to_dict(),
            "image_height_width": list(self.image),
            "params": count_parameters(self.blueprint.build()),
            "multiply_adds": multiply_adds(self.blueprint, self.image),
            "weights_sha256": hashlib.sha256(weights).hexdigest(),
            **self.facts,
        }
        contents = {WEIGHTS: weights, **files}
        written = [write_atomically(folder / name, data) for name, data in contents.items()]
        return [*written, RunFolder(folder).write(DESCRIPTION, description)]


def from_run(run: RunFolder) -> SavedNetwork:
    """The network that a run retrained.

    Raises:
        ValueError: the run has no retrained network, or it is damaged.
    """
    config, data = run.read("config.json"), _of_the_whole(run).read("data.json")
    folder = network_folder(run.path)
    network, content = load_network(folder), describe(folder)
    facts = {
        **{name: content.get(name) for name in ("trained", "normalisation", "test", "task")},
        "class_names": data["class_names"],
        "run": {"preset": config.get("preset"), "data": data["name"], **content["run"]},
    }
    height, width = content["image_height_width"]
    return SavedNetwork(Blueprint.from_dict(content), network.state_dict(), (height, width), facts)


def _of_the_whole(run: RunFolder) -> RunFolder:
    """The run itself; of a sample without a record of its images the random search it is of."""
    return run if run.has("data.json") else RunFolder(run.path.parent.parent)


def untrained(blueprint: Blueprint, image: tuple[int, int], seed: int) -> SavedNetwork:
    """A network with the initial weights of a seed, the ones that a retraining begins with."""
    with seeded(derive_seed(seed, "derived network")):
        weights = blueprint.build().state_dict()
    facts = {"trained": False, "class_names": None, "normalisation": None, "seed": seed}
    return SavedNetwork(blueprint, weights, image, facts)


def is_run(path: Path) -> bool:
    try:
        return (path / "config.json").is_file()
    except OSError:  # longer than a name can be: the text of a genotype
        return False


def network_folder(path: Path) -> Path:
    """Where the network of a run folder lies, or of an exported folder.

    Raises:
        ValueError: the run has no retrained network.
    """
    if not is_run(path):
        return path
    folder = path / RETRAINED
    if not (folder / DESCRIPTION).is_file():
        raise ValueError(
            f"{path} has no retrained network ({folder / DESCRIPTION} is missing). Finish the run "
            f"with --resume {path}, or export its genotype.json with untrained weights."
        )
    return folder
