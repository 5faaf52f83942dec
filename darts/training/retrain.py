"""Training of a genotype's network from scratch, and one look at the test images."""

import time
from dataclasses import dataclass

from bilevel import NonFiniteError
from darts.config.as_json import to_json
from darts.config.retrain import RetrainConfig
from darts.data import RetrainData
from darts.parallel.launch import CPU, Devices
from darts.records.run_folder import Record, RunFolder
from darts.spaces import Genotype
from darts.training.checkpoint import Checkpoints
from darts.training.evaluation import Evaluation, NonFiniteLossError
from darts.training.retraining import Totals, Training

STAGE = "retrain"


@dataclass(frozen=True)
class RetrainResult:
    """The network after its last epoch. Sizes leave the auxiliary head out.

    Attributes:
        test: on the test images.
        channels: initial channels C, given or found.
        params_millions: parameters.
        multiply_adds_millions: of convolutions and linear layers, for one image.
        wall_seconds: of the training, evaluation included.
    """

    test: Evaluation
    channels: int
    params_millions: float
    multiply_adds_millions: float
    wall_seconds: float


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
    training = Training(config, genotype, data.to(devices.device), devices)
    origin = {
        **to_json(config),
        "genotype": genotype.to_json(),
        "computing": to_json(devices.computing),
    }
    checkpoints = Checkpoints(
        run, STAGE, origin, share=config.checkpoint_share, ranks=devices.ranks
    )
    saved = checkpoints.resume()
    done, step_done = saved.position if saved else (0, 0)
    if saved:
        training.restore(saved.state)
    steps = training.batches.per_epoch
    run.begin(STAGE, config.epochs, steps, (done, step_done))
    began = time.perf_counter() - training.wall_seconds
    for epoch in range(done, config.epochs):
        for step in range(step_done, steps):
            try:
                loss, right, images = training.step(epoch, step)
            except NonFiniteError as error:
                raise NonFiniteLossError(
                    f"Retraining stopped in epoch {epoch}, step {step}: {error} "
                    f"{checkpoints.whereabouts} Lower the learning rate ({config.learning_rate}) "
                    f"or clip below {config.clip} in a new run."
                ) from error
            training.totals.add(loss, right, images)
            training.wall_seconds = time.perf_counter() - began
            if checkpoints.due:
                checkpoints.save((epoch, step + 1), training.state())
            run.tick(STAGE, epoch, step)
        record: Record = {
            "epoch": epoch,
            "train_loss": training.totals.loss / training.totals.images,
            "train_accuracy_percent": 100 * training.totals.right / training.totals.images,
            "learning_rate": training.learning_rate(epoch, training.batches.per_epoch - 1),
            "drop_path": training.drop_path(epoch),
            "wall_seconds": training.wall_seconds,
        }
        if config.tests_after(epoch):
            record |= training.test().to_record("test")
        run.append(f"{STAGE}/epochs", record)
        training.totals, step_done = Totals(), 0
        training.wall_seconds = time.perf_counter() - began
        if checkpoints.due or epoch + 1 == config.epochs:
            checkpoints.save((epoch + 1, 0), training.state())
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
