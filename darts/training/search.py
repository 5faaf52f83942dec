"""The search of one supernet: paired batches, alternating steps, and a genotype at the end."""

import time
from dataclasses import asdict, dataclass
from typing import Protocol

from bilevel import NonFiniteError
from darts.config.as_json import to_json
from darts.config.search import SearchConfig
from darts.data import SearchData
from darts.methods.early_stopping import Epoch, Stopped
from darts.parallel.launch import CPU, Devices
from darts.records.run_folder import Record, RunFolder
from darts.spaces import Genotype
from darts.training.checkpoint import Checkpoints
from darts.training.evaluation import Evaluation, NonFiniteLossError
from darts.training.searching import Searching

STAGE = "search"


class Score(Protocol):
    """Numbers known of a genotype without training, for the record of each epoch."""

    def __call__(self, genotype: Genotype) -> dict[str, float]: ...


@dataclass(frozen=True)
class SearchResult:
    """What a search found, and how the supernet did on the half that α saw.

    Attributes:
        genotype: the result.
        val: of the supernet after the epoch that the genotype is from.
        wall_seconds: of the search.
        epoch: the epoch that the genotype is from.
        stopped: why the search ended before its epochs did, and where; None if it did not.
        scores: what is known of the genotype without training.
    """

    genotype: Genotype
    val: Evaluation
    wall_seconds: float
    epoch: int
    stopped: Stopped | None
    scores: dict[str, float]

    def to_dict(self) -> Record:
        """As results hold it."""
        return {
            "val": asdict(self.val),
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
) -> SearchResult:
    """Search, or go on with the search that `run` holds, and write `genotype.json`.

    Records of every step go to `search/steps.jsonl`, those of every epoch, mixing weights
    included, to `search/epochs.jsonl`. A resumed search has the same bits as one that was
    never interrupted, on the CPU.

    Args:
        config: its settings.
        data: the two halves of the training images.
        run: the folder to write.
        devices: where and how to compute; of several processes `run` is a `SharedRun`.
        score: what is known of a genotype without training; its numbers join every epoch's record.

    Raises:
        NonFiniteLossError: a loss or a gradient is not finite; the last checkpoint is kept.
        ValueError: a checkpoint in `run` is from another config.
    """
    searching = Searching(config, data.to(devices.device), devices, run.note)
    origin = {**to_json(config), "computing": to_json(devices.computing)}
    checkpoints = Checkpoints(
        run, STAGE, origin, share=config.checkpoint_share, ranks=devices.ranks
    )
    saved = checkpoints.resume()
    done, step_done = saved.position if saved else (0, 0)
    if saved:
        searching.restore(saved.state)
    steps = searching.batches.per_epoch
    stopped = _stopped(config, run) if step_done == 0 else None
    run.begin(STAGE, config.epochs, steps, (done, step_done))
    began = time.perf_counter() - searching.wall_seconds
    records = [r for r in run.records(f"{STAGE}/steps") if r["epoch"] == done]
    for epoch in range(done, config.epochs if stopped is None else done):
        news = searching.enter(epoch)
        if news:
            run.note(news)
        for step in range(step_done, steps):
            try:
                records.append(searching.step(epoch, step))
            except NonFiniteError as error:
                raise NonFiniteLossError(
                    f"The search stopped in epoch {epoch}, step {step}: {error} "
                    f"{checkpoints.whereabouts} Lower the learning rates or η in a new run."
                ) from error
            run.append(f"{STAGE}/steps", records[-1])
            searching.wall_seconds = time.perf_counter() - began
            if checkpoints.due:
                checkpoints.save((epoch, step + 1), searching.state())
            run.tick(STAGE, epoch, step)
        record = searching.summary(epoch, records)
        scores = {} if score is None else score(searching.genotype())
        run.append(f"{STAGE}/epochs", {**record, **scores})
        records, step_done = [], 0
        searching.wall_seconds = time.perf_counter() - began
        stopped = _stopped(config, run)
        if checkpoints.due or stopped or epoch + 1 == config.epochs:
            checkpoints.save((epoch + 1, 0), searching.state())
        if stopped:
            run.note(f"Stopped after epoch {epoch + 1}: {stopped.reason}.")
            break
    result = _result(run, len(searching.judged), searching.wall_seconds, stopped, score)
    run.write("genotype.json", result.genotype.to_dict())
    return result


def _stopped(config: SearchConfig, run: RunFolder) -> Stopped | None:
    """Whether the rule of `config` ends the search after the epochs that `run` holds."""
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
    judged: int,
    wall_seconds: float,
    stopped: Stopped | None,
    score: Score | None,
) -> SearchResult:
    records = run.records(f"{STAGE}/epochs")
    record = records[-1 if stopped is None else stopped.keep]
    genotype = Genotype.from_dict(record["genotype"])
    return SearchResult(
        genotype,
        Evaluation.from_record(record, "val", judged),
        wall_seconds,
        record["epoch"],
        stopped,
        {} if score is None else score(genotype),
    )
