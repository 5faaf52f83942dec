"""The search of one supernet: paired batches, alternating steps, and a genotype at the end."""

from dataclasses import asdict, dataclass, replace
from typing import Protocol

from darts.config.as_json import to_json
from darts.config.search import SearchConfig
from darts.data import SearchData
from darts.methods.early_stopping import Epoch, Stopped
from darts.networks.cost import CostTable
from darts.parallel.launch import CPU, Devices
from darts.records.run_folder import Record, RunFolder
from darts.spaces import Genotype
from darts.training.evaluation import Evaluation
from darts.training.loop import drive
from darts.training.searching import Searching
from darts.training.selection import select

STAGE = "search"


class Score(Protocol):
    """Numbers that are known of a genotype without training; each epoch's record holds them."""

    def __call__(self, genotype: Genotype) -> dict[str, float]: ...


@dataclass(frozen=True)
class SearchResult:
    """The genotype that a search found, and the supernet's accuracy on α's half.

    Attributes:
        genotype: the genotype that was found.
        val: evaluation of the supernet after the epoch that the genotype is from; of the last
            epoch, before the selection, where there is one.
        wall_seconds: time of the search and of the selection after it.
        epoch: the epoch that the genotype is from.
        stopped: why and where the search ended early; None if it did not.
        scores: numbers known of the genotype without training.
        cost: value, unit and limit of its network's cost, where the search had a target.
        selection: number of edges, of those that do not keep the operation of the largest weight,
            and of evaluations, and the time, where the genotype was chosen after the search.
    """

    genotype: Genotype
    val: Evaluation
    wall_seconds: float
    epoch: int
    stopped: Stopped | None
    scores: dict[str, float]
    cost: Record | None = None
    selection: Record | None = None

    @property
    def cost_in_words(self) -> str:
        """The cost of the network that was found, and whether it is within the limit."""
        assert self.cost is not None
        value, unit, most = self.cost["value"], self.cost["unit"], self.cost["most"]
        said = f"The network found costs {value:.4g} {unit}"
        if most is None:
            return f"{said}."
        if value <= most:
            return f"{said}, within the limit of {most:g}."
        return (
            f"{said}, which is ABOVE the limit of {most:g}: the search did not reach it. Search "
            "for more epochs, or raise α's learning rate or the limit's strength."
        )

    def to_dict(self) -> Record:
        """As results hold it."""
        cost = {} if self.cost is None else {"cost": self.cost}
        selection = {} if self.selection is None else {"selection": self.selection}
        return {
            **cost,
            **selection,
            "val": self.val.to_dict(),
            "wall_seconds": self.wall_seconds,
            "genotype": self.genotype.to_dict(),
            "epoch": self.epoch,
            "stopped": None if self.stopped is None else asdict(self.stopped),
            "scores": self.scores,
        }


def search(
    config: SearchConfig,
    data: SearchData,
    run: RunFolder,
    *,
    devices: Devices = CPU,
    score: Score | None = None,
    costs: CostTable | None = None,
) -> SearchResult:
    """Search, or go on with the search that `run` holds, and write `genotype.json`.

    Records of every step go to `search/steps.jsonl`, those of every epoch, mixing weights
    included, to `search/epochs.jsonl`, and the decisions of a selection to
    `selection/decisions.jsonl`. A resumed search has the same bits as one that was never
    interrupted, on the CPU; so has a resumed selection.

    Args:
        config: settings of the search.
        data: the two halves of the training images.
        run: the folder to write.
        devices: device, processes and way of computing; with several processes `run` is a
            `SharedRun`.
        score: a function of a genotype that gives numbers known without training; every epoch's
            record holds them.
        costs: costs of the operations in the network to be retrained, for a target.

    Raises:
        NonFiniteLossError: a loss or a gradient is not finite; the last checkpoint is kept.
        ValueError: a checkpoint in `run` is from another config.
    """
    searching = Searching(config, data.to(devices.device), devices, run.note, costs=costs)
    stage = SearchStage(config, searching, run, score)
    origin = {**to_json(config), "computing": to_json(devices.computing)}
    drive(stage, run, devices, origin, config.checkpoint_share)
    stopped = _stopped(config, run)
    result = _result(run, len(searching.evaluated), searching.wall_seconds, stopped, score)
    if config.selection is not None:
        genotype, took = select(searching, run, devices, origin)
        result = replace(
            result,
            genotype=genotype,
            wall_seconds=result.wall_seconds + took["wall_seconds"],
            scores={} if score is None else score(genotype),
            selection=took,
        )
    if config.target is not None:
        assert searching.costs is not None
        cost = {
            "value": searching.costs.of(result.genotype),
            "unit": searching.costs.unit,
            "most": getattr(config.target, "most", None),
        }
        result = replace(result, cost=cost)
    if result.cost is not None:
        run.note(result.cost_in_words)
    run.write("genotype.json", result.genotype.to_dict())
    return result


class SearchStage:
    """A search as the loop drives it: a record a step, and one an epoch."""

    name = STAGE
    work = "search"
    remedy = "Lower the learning rates or η in a new run."

    def __init__(
        self, config: SearchConfig, searching: Searching, run: RunFolder, score: Score | None
    ) -> None:
        self.config, self.searching, self.run, self.score = config, searching, run, score
        self.epochs, self.steps = config.epochs, searching.batches.per_epoch
        self.records: list[Record] = []
        self.state, self.restore = searching.state, searching.restore

    @property
    def wall_seconds(self) -> float:
        return self.searching.wall_seconds

    @wall_seconds.setter
    def wall_seconds(self, seconds: float) -> None:
        self.searching.wall_seconds = seconds

    def enter(self, epoch: int, *, resumed: bool) -> None:
        news = self.searching.enter(epoch)
        if news:
            self.run.note(news)
        written = self.run.records(f"{STAGE}/steps") if resumed else []
        self.records = [record for record in written if record["epoch"] == epoch]

    def step(self, epoch: int, step: int) -> None:
        self.records.append(self.searching.step(epoch, step))
        self.run.append(f"{STAGE}/steps", self.records[-1])

    def leave(self, epoch: int) -> None:
        record = self.searching.summary(epoch, self.records)
        scores = {} if self.score is None else self.score(self.searching.genotype())
        self.run.append(f"{STAGE}/epochs", {**record, **scores})

    def ended(self) -> bool:
        stopped = _stopped(self.config, self.run)
        if stopped is not None:
            done = len(self.run.records(f"{STAGE}/epochs"))
            self.run.note(f"Stopped after epoch {done}: {stopped.reason}.")
        return stopped is not None


def _stopped(config: SearchConfig, run: RunFolder) -> Stopped | None:
    """Whether the early-stopping rule of `config` ends the search after the epochs in `run`."""
    records = run.records(f"{STAGE}/epochs") if config.stop is not None else []
    if config.stop is None or not records:
        return None
    return config.stop(
        [
            Epoch(Genotype.from_dict(record["genotype"]), record.get("alpha_eigenvalue"))
            for record in records
        ]
    )


def _result(
    run: RunFolder,
    images: int,
    wall_seconds: float,
    stopped: Stopped | None,
    score: Score | None,
) -> SearchResult:
    records = run.records(f"{STAGE}/epochs")
    record = records[-1 if stopped is None else stopped.keep]
    genotype = Genotype.from_dict(record["genotype"])
    return SearchResult(
        genotype,
        Evaluation.from_record(record, "val", images),
        wall_seconds,
        record["epoch"],
        stopped,
        {} if score is None else score(genotype),
    )
