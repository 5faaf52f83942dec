"""`darts random-search`: one folder for all samples, gone on with by the same command."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from darts.commands.closing import files_and_next
from darts.commands.command import Command, Invocation
from darts.commands.dry_run import limits_of
from darts.commands.errors import CutOff, UsageError, refusing
from darts.commands.options import Options
from darts.commands.processes import computing_device, require_plain
from darts.commands.requests import images_of, usual_path
from darts.config.as_json import differences, to_json
from darts.config.retrain import RetrainConfig
from darts.data import DataSet, ImageSet, images_of_set
from darts.methods import RandomSearch as Draws
from darts.parallel.launch import Devices
from darts.records.environment import describe_environment
from darts.records.lock import held, own_folder
from darts.records.run_folder import RunFolder
from darts.reports.progress import LiveProgress
from darts.reports.summary import write_samples
from darts.spaces import space_named
from darts.training.loop import Interrupted
from darts.training.random_search import RandomSearchConfig, random_search, require_feasible

UNUSED: Mapping[str, str] = {
    "loggers": "its samples are many short trainings, which no tracker follows.",
    "evaluation.test-every": "a sample is looked at once, after its last epoch.",
}
"""Options of other commands, and why they would have no effect."""


@dataclass(frozen=True)
class RandomRun:
    """A random search on a data set."""

    data: DataSet
    random_search: RandomSearchConfig


def run_random_search(
    config: RandomRun, path: Path, command: str, device: str, *, usual: bool
) -> Path:
    """Search, or go on with the search in `path`, and say what was kept; its folder.

    Args:
        config: data set and settings.
        path: the folder to write.
        command: the line that asked for it.
        device: the device to compute on.
        usual: whether nobody named the folder, so that another name will do if it is taken.

    Raises:
        ValueError: the images or networks do not fit, which is said before anything is written; or
            the folder holds a search with other settings, or of other images.
        Interrupted: Ctrl-C was pressed, or SIGTERM sent; it has the folder.
    """
    images = images_of_set(config.data)
    require_feasible(config.random_search, images)
    if usual:
        path = own_folder(path)
    try:
        with held(path):
            print(_in_folder(config, images, path, command, device))
    except Interrupted as interrupt:
        raise Interrupted(path, interrupt.signal) from interrupt
    return path


def _in_folder(config: RandomRun, images: ImageSet, path: Path, command: str, device: str) -> str:
    """The search in a folder that this process holds; a line about what was kept."""
    content, listeners = to_json(config), (LiveProgress(tested="held-out training"),)
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
    page = write_samples(path)
    measure = images.task.measure
    kept = ", ".join(f"sample {s.number} with {s.value:.2f}{measure.unit}" for s in best)
    what = f"{measure.words} on training images that they were not trained on"
    return f"kept {kept} ({what}); {page}"


@dataclass(frozen=True)
class RandomSearch(Options, Command):
    """Draw genotypes, train each shortly, and keep the best (§4.1.3). No supernet.

    The same command with the same --run-dir goes on with a search that was cut off.

    Args:
        space: space that genotypes are drawn from; names as in search.
        samples: number of genotypes drawn.
        keep: number of the best genotypes that are kept.
        evaluation: short training of each sample, on half of the training images.
        run_dir: folder to write; by default runs/random-<space>-<seed>-<time>.
    """

    examples = (
        "darts random-search --samples 8",
        "darts random-search --preset cifar10-s1-tiny --data-root DIR --space s1",
    )
    main = (
        "samples keep space preset dataset data-root seed run-dir device "
        "evaluation.epochs evaluation.channels"
    )

    no_dry_run = (
        "random-search has no --dry-run: give darts retrain --dry-run a genotype and the "
        "settings of the evaluation; --seeds is then the number of samples."
    )

    space: str = "s1-fixed"
    samples: int = 20
    keep: int = 2
    evaluation: RetrainConfig = field(default_factory=lambda: RetrainConfig(epochs=100))

    @classmethod
    def usual(cls, given: Invocation) -> Self:
        retrain = given.preset.retrain
        assert retrain is not None
        return cls(evaluation=replace(retrain, epochs=_short(retrain)))

    def run(self, given: Invocation) -> int:
        with refusing():
            limits_of(self)
            asked = self._asked(given)
        path = self.run_dir or usual_path(f"random-{self.space}", self.seed or 0)
        device = computing_device(self.device, self.threads)
        usual = self.run_dir is None
        try:
            path = run_random_search(asked, path, given.line, device, usual=usual)
        except Interrupted as interrupt:
            where = ("--run-dir", str(interrupt.run)) if usual else ()
            again = replace(given, arguments=(*given.arguments, *where))
            raise CutOff(again.line, interrupt.signal) from interrupt
        print(files_and_next(path, *_next(given, asked, path)))
        return 0

    def _asked(self, given: Invocation) -> RandomRun:
        require_plain(self, "random-search")
        if self.resume is not None or self.seeds != 1:
            raise UsageError(
                "random-search has neither --resume nor --seeds: give the same command with its "
                "--run-dir to go on, and another --seed for other samples."
            )
        for option in UNUSED:
            if given.value_of(option) is not None:
                raise UsageError(f"random-search has no --{option}: {UNUSED[option]} Leave it out.")
        if not 1 <= self.keep <= self.samples:
            raise UsageError(
                f"--samples {self.samples} with --keep {self.keep}: keep at least one and at most "
                "all of the samples."
            )
        search = RandomSearchConfig(
            space=space_named(self.space),
            random=Draws(self.samples, self.keep),
            evaluation=self.evaluation,
            seed=self.seed or 0,
        )
        return RandomRun(images_of(self, given.preset.data), search)


def _next(given: Invocation, asked: RandomRun, path: Path) -> list[tuple[str | Path, ...]]:
    place = getattr(asked.data, "root", None)
    where = ("--data-root", place) if place else ()
    preset = ("--preset", given.preset.preset)
    best = path / "genotype-1.json"
    return [("retrain", *preset, *where, "--genotype", best), ("draw", best), ("count", best)]


def _short(retrain: RetrainConfig) -> int:
    """Epochs of a short training: 100 of the paper's 600 (§4.1.3), in this proportion."""
    return max(1, round(retrain.epochs / 6))
