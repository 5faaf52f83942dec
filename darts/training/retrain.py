"""Training of a genotype's network from scratch, and one look at the test images."""

from dataclasses import asdict, dataclass

from darts.config.as_json import to_json
from darts.config.retrain import RetrainConfig
from darts.data import RetrainData
from darts.parallel.launch import CPU, Devices
from darts.records.run_folder import Record, RunFolder
from darts.spaces import Genotype
from darts.training.evaluation import Evaluation
from darts.training.loop import drive
from darts.training.retraining import Totals, Training

STAGE = "retrain"


@dataclass(frozen=True)
class RetrainResult:
    """The network after its last epoch. Sizes leave the auxiliary head out.

    Attributes:
        test: evaluation on the test images.
        channels: number of initial channels C, given or found.
        params_millions: number of parameters, in millions.
        multiply_adds_millions: multiply-adds of convolutions and linear layers for one image, in
            millions.
        wall_seconds: time of the training, evaluation included.
    """

    test: Evaluation
    channels: int
    params_millions: float
    multiply_adds_millions: float
    wall_seconds: float

    def to_dict(self) -> Record:
        """As results hold it."""
        return {**asdict(self), "test": self.test.to_dict()}


def retrain(
    config: RetrainConfig,
    genotype: Genotype,
    data: RetrainData,
    run: RunFolder,
    *,
    devices: Devices = CPU,
) -> RetrainResult:
    """Train, or go on with the training that `run` holds; the network goes to `retrain/`.

    It lies there as `load_network` reads it, without an auxiliary head.

    Records of every epoch go to `retrain/epochs.jsonl`. A resumed training has the same bits as
    one that was never interrupted, on the CPU.

    Raises:
        NonFiniteLossError: a loss is not finite; the last checkpoint is kept.
        ValueError: a checkpoint in `run` is from another config or genotype.
    """
    training = Training(config, genotype, data.to(devices.device), devices, run.note)
    origin = {
        **to_json(config),
        "genotype": genotype.to_json(),
        "computing": to_json(devices.computing),
    }
    drive(_RetrainStage(config, training, run), run, devices, origin, config.checkpoint_share)
    last = run.records(f"{STAGE}/epochs")[-1]
    test = Evaluation.from_record(last, "test", len(data.test))
    if devices.ranks.first:
        training.saved(test).write(run.path / STAGE)
    return RetrainResult(
        test,
        training.blueprint.channels,
        training.params_millions,
        training.multiply_adds_millions,
        training.wall_seconds,
    )


class _RetrainStage:
    """A retraining as the loop drives it: a record an epoch."""

    name = STAGE
    work = "retraining"

    def __init__(self, config: RetrainConfig, training: Training, run: RunFolder) -> None:
        self.config, self.training, self.run = config, training, run
        self.epochs, self.steps = config.epochs, training.batches.per_epoch
        self.remedy = (
            f"Lower the learning rate ({config.learning_rate}) or clip below {config.clip} in a "
            "new run."
        )
        self.state, self.restore = training.state, training.restore

    @property
    def wall_seconds(self) -> float:
        return self.training.wall_seconds

    @wall_seconds.setter
    def wall_seconds(self, seconds: float) -> None:
        self.training.wall_seconds = seconds

    def enter(self, epoch: int, *, resumed: bool) -> None:
        pass

    def step(self, epoch: int, step: int) -> None:
        self.training.totals.add(*self.training.step(epoch, step))

    def leave(self, epoch: int) -> None:
        training, totals = self.training, self.training.totals
        measure = training.task.measure.name
        record: Record = {
            "epoch": epoch,
            "train_loss": totals.loss / totals.images,
            f"train_{measure}": training.task.measures(totals.sums, totals.images)[measure],
            "learning_rate": training.learning_rate(epoch, self.steps - 1),
            "drop_path": training.drop_path(epoch),
            "wall_seconds": training.wall_seconds,
        }
        if self.config.tests_after(epoch):
            record |= training.test().to_record("test")
        self.run.append(f"{STAGE}/epochs", record)
        training.totals = Totals()

    def ended(self) -> bool:
        return False
