"""The search of one supernet: paired batches, alternating steps, and a genotype at the end."""

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from bilevel import NonFiniteError, Vector, alternating_step, angle
from bilevel.solver import Step
from darts.data import Batches, LabelledImages, PairedBatches, SearchData
from darts.data.batches import in_order
from darts.data.seeds import derive_seed, seeded
from darts.networks import Architecture, Supernet
from darts.networks.adapter import SupernetAdapter
from darts.runs.checkpoint import Checkpoints
from darts.runs.config import SearchConfig, to_json
from darts.runs.evaluation import Evaluation, NonFiniteLossError, evaluate
from darts.runs.records import Record, RunFolder
from darts.runs.schedule import half_cosine
from darts.runs.state import State
from darts.spaces import Genotype

STAGE = "search"


@dataclass(frozen=True)
class SearchResult:
    """What a search found, and how the supernet did on the half that α saw."""

    genotype: Genotype
    val: Evaluation
    wall_seconds: float


def search(
    config: SearchConfig, data: SearchData, run: RunFolder, *, device: str = "cpu"
) -> SearchResult:
    """Search, or go on with the search that `run` holds, and write `genotype.json`.

    Records of every step go to `search/steps.jsonl`, those of every epoch, mixing weights
    included, to `search/epochs.jsonl`. A resumed search has the same bits as one that was
    never interrupted, on the CPU.

    Raises:
        NonFiniteLossError: a loss or a gradient is not finite; the last checkpoint is kept.
        ValueError: a checkpoint in `run` is from another config.
    """
    searching = _Search(config, data.to(device), device)
    checkpoints = Checkpoints(run, STAGE, to_json(config), share=config.checkpoint_share)
    saved = checkpoints.resume()
    done, step_done = saved.position if saved else (0, 0)
    if saved:
        searching.restore(saved.state)
    steps = searching.batches.per_epoch
    run.begin(STAGE, config.epochs, steps, (done, step_done))
    began = time.perf_counter() - searching.wall_seconds
    records = [r for r in run.records(f"{STAGE}/steps") if r["epoch"] == done]
    for epoch in range(done, config.epochs):
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
        run.append(f"{STAGE}/epochs", searching.summary(epoch, records))
        records, step_done = [], 0
        searching.wall_seconds = time.perf_counter() - began
        if checkpoints.due or epoch + 1 == config.epochs:
            checkpoints.save((epoch + 1, 0), searching.state())
    genotype = searching.architecture.genotype(searching.alpha)
    run.write("genotype.json", genotype.to_dict())
    last = run.records(f"{STAGE}/epochs")[-1]
    val = Evaluation(last["val_loss"], last["val_accuracy_percent"], len(data.val))
    return SearchResult(genotype, val, searching.wall_seconds)


class _Search:
    """ω, α, their optimisers and the data stream: all that a step changes or reads."""

    def __init__(self, config: SearchConfig, data: SearchData, device: str) -> None:
        self.config = config
        self.data = data
        self.wall_seconds = 0.0
        self.batches = paired_batches(config, data)
        with seeded(derive_seed(config.seed, "supernet"), device):
            self.supernet = Supernet(
                config.space,
                channels=config.channels,
                cells=config.cells,
                classes=data.train.classes,
                in_channels=data.train.channels,
                stem_multiplier=config.stem_multiplier,
            ).to(device)
        self.architecture = Architecture(config.space)
        self.alpha: dict[str, Tensor] = {
            kind: weights.to(device).requires_grad_()
            for kind, weights in self.architecture.initial(derive_seed(config.seed, "α")).items()
        }
        self.adapter = SupernetAdapter(self.supernet, self.architecture, config.weight_decay)
        self.omega = self.adapter.omega
        self.outer = torch.optim.Adam(
            self.alpha.values(),
            lr=config.alpha_learning_rate,
            betas=config.alpha_betas,
            weight_decay=config.alpha_weight_decay,
        )
        # weight decay is in the inner loss, where the Hessian sees it
        self.inner = torch.optim.SGD(
            self.omega.values(), lr=config.learning_rate, momentum=config.momentum
        )

    def step(self, epoch: int, step: int) -> Record:
        """One alternating update, and its record."""
        config = self.config
        learning_rate = half_cosine(
            config.learning_rate,
            config.learning_rate_end,
            (epoch + step / self.batches.per_epoch) / config.epochs,
        )
        for group in self.inner.param_groups:
            group["lr"] = learning_rate
        train, val = self.batches.at(epoch, step)
        problem = self.adapter.problem(train, val, derive_seed(config.seed, "masks", epoch, step))
        taken = alternating_step(
            problem,
            self.omega,
            self.alpha,
            estimator=config.estimator,
            outer=self.outer,
            inner=self.inner,
            clip=config.clip,
        )
        return {"epoch": epoch, "step": step, "learning_rate": learning_rate, **_terms(taken)}

    def summary(self, epoch: int, steps: list[Record]) -> Record:
        """The record of an epoch: means over its steps, the supernet on val, mixing weights."""
        self.adapter.update_statistics(
            [
                self.batches.train.at(epoch, step)
                for step in range(min(self.config.statistics_batches, len(steps)))
            ],
            self.alpha,
        )
        val = evaluate(
            lambda images: self.adapter.logits(images, self.alpha),
            in_order(self.data.val, self.data.normalisation, self.config.batch_size),
        )
        if not val.loss < float("inf"):
            raise NonFiniteLossError(
                f"After epoch {epoch} the supernet's validation loss is {val.loss}. Lower the "
                "learning rate in a new run; the last checkpoint is kept."
            )
        mixing = self.architecture.mixing(self.alpha)
        return {
            "epoch": epoch,
            "train_loss": _mean(steps, "train_loss"),
            "alpha_loss": _mean(steps, "val_loss"),
            "val_loss": val.loss,
            "val_accuracy_percent": val.accuracy_percent,
            "direct_norm": _mean(steps, "direct_norm"),
            "implicit_norm": _mean(steps, "implicit_norm"),
            "learning_rate": steps[-1]["learning_rate"],
            "operations": list(self.config.space.operations),
            "mixing": {kind: weights.tolist() for kind, weights in mixing.items()},
            "genotype": self.architecture.genotype(self.alpha).to_dict(),
            "wall_seconds": self.wall_seconds,
        }

    def state(self) -> State:
        return {
            "supernet": self.supernet.state_dict(),
            "alpha": {kind: weights.detach() for kind, weights in self.alpha.items()},
            "inner": self.inner.state_dict(),
            "outer": self.outer.state_dict(),
            "wall_seconds": self.wall_seconds,
        }

    def restore(self, state: State) -> None:
        """Put a state in place."""
        self.supernet.load_state_dict(state["supernet"])
        with torch.no_grad():
            for kind, weights in state["alpha"].items():
                self.alpha[kind].copy_(weights)
        self.inner.load_state_dict(state["inner"])
        self.outer.load_state_dict(state["outer"])
        self.wall_seconds = state["wall_seconds"]


def paired_batches(config: SearchConfig, data: SearchData) -> PairedBatches:
    """The stream of a search. ω's batches are augmented, and so are α's, as in DARTS."""
    augmentation = config.augmentation(data.mirror)

    def batches(part: str, images: LabelledImages) -> Batches:
        return Batches(
            images, data.normalisation, augmentation, config.batch_size, config.seed, part
        )

    return PairedBatches(batches("search train", data.train), batches("search val", data.val))


def _terms(step: Step) -> Record:
    """Losses, and the two terms of the hypergradient: their sizes and the angle between them."""
    direct = Vector.of(step.hypergradient.direct)
    implicit = Vector.of(step.hypergradient.implicit)
    sizes = float(direct.norm()), float(implicit.norm())
    return {
        "train_loss": step.inner_loss,
        "val_loss": step.outer_loss,
        "inner_gradient_norm": step.inner_gradient_norm,
        "direct_norm": sizes[0],
        "implicit_norm": sizes[1],
        "angle_degrees": angle(direct, implicit) if min(sizes) > 0 else None,
    }


def _mean(records: list[Record], name: str) -> float:
    return float(sum(record[name] for record in records) / len(records))
