"""`darts evaluate`: a saved network on test images."""

from dataclasses import dataclass
from pathlib import Path

from darts.commands.closing import closing
from darts.commands.command import Command, Invocation
from darts.commands.errors import UsageError, refusing
from darts.commands.options import DataOptions
from darts.commands.processes import computing_device
from darts.commands.random_search import RandomRun
from darts.commands.requests import images_of
from darts.config.as_json import from_json, to_json
from darts.config.full import full_config
from darts.data import DataSet, images_of_set
from darts.names import DATA_SETS, TYPES
from darts.networks.blueprint import describe
from darts.records.run_folder import CONFIG, RunFolder
from darts.records.writing import require_writable
from darts.training.evaluate_network import FILE as EVALUATION
from darts.training.evaluate_network import evaluate_network, in_words
from darts.training.random_search import SAMPLES
from darts.training.saved_network import is_run


@dataclass(frozen=True)
class Evaluate(DataOptions, Command):
    """Evaluate a saved network alone, on test images; writes evaluation.json beside it.

    Args:
        source: a run folder, whose retrained network it is, and whose test images are taken unless
            others are named; or a folder that `darts export` wrote, which needs --dataset.
        batch_size: number of images at a time; by default the training's, which gives the same
            bits.
        device: device to compute on: cpu, cuda, cuda:1, ...; auto is a GPU if there is one.
        threads: number of PyTorch's threads on the CPU; 0 is PyTorch's own choice.
    """

    examples = (
        "darts evaluate runs/NAME",
        "darts evaluate exported --dataset cifar10 --data-root DIR",
    )
    main = "dataset data-root batch-size device threads"

    source: Path
    batch_size: int | None = None
    device: str = "auto"
    threads: int = 1

    def run(self, given: Invocation) -> int:
        with refusing():
            data = self._images()
        if self.batch_size is not None and self.batch_size < 1:
            raise UsageError(f"--batch-size {self.batch_size}: ask for 1 image or more.")
        device = computing_device(self.device, self.threads)
        require_writable(self.source / EVALUATION)
        record = evaluate_network(
            self.source,
            images_of_set(data),
            to_json(data),
            batch_size=self.batch_size,
            device=device,
        )
        print(in_words(record))
        run = is_run(self.source)
        again = [("export", self.source, "--to", self.source / "exported")] if run else []
        print(closing([self.source / EVALUATION], *again))
        return 0

    def _images(self) -> DataSet:
        """The data set that a saved network is evaluated on: the one named, or its run's.

        Raises:
            UsageError: none is named, and the folder is no run's.
        """
        if is_run(self.source):
            return images_of(self, _data_of(self.source))
        run = describe(self.source).get("run") or {}
        if self.dataset is None:
            before = f"; it was trained on {run['data']}" if "data" in run else ""
            raise UsageError(
                f"{self.source} is no run folder, and does not say where images are{before}. Give "
                f"--dataset one of {', '.join(DATA_SETS)}, and --data-root where it needs one."
            )
        if self.dataset not in DATA_SETS:
            raise UsageError(f"--dataset {self.dataset}: there are {', '.join(DATA_SETS)}.")
        return images_of(self, DATA_SETS[self.dataset]())


def _data_of(path: Path) -> DataSet:
    """The data set of a run, or of the random search that a sample is of."""
    content = RunFolder(path).read(CONFIG)
    search = path.resolve().parent.parent
    if path.resolve().parent.name == SAMPLES and is_run(search):
        content = RunFolder(search).read(CONFIG)
    if isinstance(content, dict) and content.get("type") == RandomRun.__name__:
        data: DataSet = from_json(content["data"], TYPES)
        return data
    return full_config(content, TYPES, str(path / CONFIG)).data
