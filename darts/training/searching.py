"""The state of a search and its steps: ω, α, their optimisers, and the stage."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import torch
from torch import Tensor

from bilevel import BilevelProblem, Vector
from bilevel.reading import read
from bilevel.solver import outer_step
from bilevel.state import State
from darts.config.schedule import half_cosine
from darts.config.search import SearchConfig
from darts.data import Batch, Batches, Images, PairedBatches, SearchData
from darts.data.batches import in_order
from darts.data.seeds import derive_seed, seeded
from darts.networks import Architecture, Supernet
from darts.networks.adapter import Regularisation, SupernetAdapter
from darts.networks.cost import CostTable
from darts.parallel.launch import CPU, Devices
from darts.records.run_folder import Record
from darts.spaces import Genotype, Space
from darts.spaces.joint_draws import WHOLE, Shard
from darts.training.captured import Recorder, capturing_on, lay_out
from darts.training.evaluation import Evaluation, NonFiniteLossError, evaluate
from darts.training.mixed_precision import MixedPrecision
from darts.training.optimizers import alpha_optimizer, restore, set_rate, weights_optimizer
from darts.training.sharpness import largest_eigenvalue
from darts.training.step_terms import StepTerms
from darts.training.target_costs import supernet_costs


class Searching:
    """One search, step by step. A stage has its own supernet, α, optimisers and schedules.

    There is one stage, unless the config is `progressive`. The data stream goes through all.
    Processes that share a search take the same steps, each with its shard of the batches.

    On a GPU a step reads no number before its end, unless the estimator needs one. It is captured
    as a graph where `devices.computing` asks for it and the step allows it.

    Args:
        config: settings of the search.
        data: the two halves of the training images, on the device.
        devices: device, processes and way of computing.
        note: called with a line that says why steps are not captured, where that was asked for.
        record: the function that captures steps; None decides by `devices`.
        costs: costs of the operations, for a target; None counts a network of the supernet's
            sizes.
    """

    def __init__(
        self,
        config: SearchConfig,
        data: SearchData,
        devices: Devices = CPU,
        note: Callable[[str], None] = lambda text: None,
        record: Recorder | None = None,
        costs: CostTable | None = None,
    ) -> None:
        self.config = config
        self.costs = costs
        if config.target is not None and costs is None:
            self.costs = supernet_costs(config, data)
        self.data = data
        self.evaluated = config.evaluated(data.val)
        self.device = devices.device
        self.ranks = devices.ranks
        self.recompute = devices.computing.checkpoint_activations
        self.precision = MixedPrecision(devices.computing.precision, devices.device)
        self.capturing, self.reads_nothing = capturing_on(devices, note, record, config.estimator)
        self.wall_seconds = 0.0
        self.batches = paired_batches(config, data, self.ranks.shard)
        self.stages = 1 if config.progressive is None else config.progressive.stages
        self._begin_stage(0, config.space)

    def _begin_stage(self, stage: int, space: Space) -> None:
        config = self.config
        deeper = ("stage", stage) if stage else ()
        with seeded(derive_seed(config.seed, "supernet", *deeper), self.device):
            self.supernet = Supernet(
                space,
                channels=config.channels,
                cells=config.progressive.cells[stage] if config.progressive else config.cells,
                classes=self.data.train.classes,
                in_channels=self.data.train.channels,
                stem_multiplier=config.stem_multiplier,
                stem=config.stem,
                partial=config.partial_channels,
                auxiliary_skip=config.auxiliary_skip is not None,
                auxiliary_head=config.auxiliary_weight > 0,
            ).to(self.device)
        lay_out(self.supernet, self.device)
        self.supernet.recompute = self.recompute
        self.ranks.join(self.supernet)
        partial = config.partial_channels
        self.stage = stage
        self.space = space
        self.architecture = Architecture(
            space, config.mixing, partial is not None and partial.edge_normalisation
        )
        initial = self.architecture.initial(derive_seed(config.seed, "α", *deeper))
        self.alpha: dict[str, Tensor] = {
            name: weights.to(self.device).requires_grad_() for name, weights in initial.items()
        }
        self.adapter = SupernetAdapter(
            self.supernet,
            self.architecture,
            config.weight_decay,
            config.perturbation,
            config.auxiliary_weight,
            self.data.train.task,
            self.costs,
            config.target,
            config.alpha_penalty,
        )
        self.omega = self.adapter.omega
        on_device = self.device if self.reads_nothing else None
        self.outer = alpha_optimizer(
            self.alpha.values(),
            config.alpha_learning_rate,
            config.alpha_betas,
            config.alpha_weight_decay,
            on_device=on_device,
        )
        self.inner = weights_optimizer(
            self.omega.values(), config.learning_rate, config.momentum, on_device=on_device
        )
        self.capturing.forget()

    @property
    def stage_epochs(self) -> int:
        return self.config.epochs // self.stages

    def enter(self, epoch: int) -> str | None:
        """Prepare `epoch`: begin the next stage if it is due, and say so."""
        progressive, stage = self.config.progressive, epoch // self.stage_epochs
        if progressive is None or stage == self.stage:
            return None
        assert stage == self.stage + 1  # epochs come in order
        mixing = self.architecture.mixing_weights(self.alpha)
        self._begin_stage(stage, progressive.narrowed(self.space, mixing, stage))
        return (
            f"Stage {stage + 1} of {self.stages}: {progressive.cells[stage]} cells, "
            f"{progressive.operations[stage]} operations an edge."
        )

    def _in_stage(self, epoch: int) -> int:
        """The number of an epoch among those of its stage."""
        return epoch - self.stage * self.stage_epochs

    def progress(self, epoch: int, step: int = 0) -> float:
        """The share of the stage that is done, in [0, 1)."""
        return (self._in_stage(epoch) + step / self.batches.per_epoch) / self.stage_epochs

    def regularisation(self, epoch: int) -> Regularisation:
        """Drop-path, dropout, the weights of auxiliary skips and of α's penalty in an epoch."""
        config, progress = self.config, self.progress(epoch)
        progressive, skip = config.progressive, config.auxiliary_skip
        penalty = config.alpha_penalty
        return Regularisation(
            auxiliary_skip=skip.weight(progress) if skip else 0.0,
            drop_path=config.drop_path * progress,
            skip_dropout=(
                progressive.dropout(self.stage, self._in_stage(epoch), self.stage_epochs)
                if progressive
                else 0.0
            ),
            dropout=config.dropout,
            alpha_penalty=penalty.weight(progress) if penalty else 0.0,
        )

    def frozen(self, epoch: int) -> bool:
        """Whether α is frozen in an epoch."""
        progressive = self.config.progressive
        epochs = max(self.config.frozen_epochs, progressive.frozen_epochs if progressive else 0)
        return self._in_stage(epoch) < epochs

    def step(self, epoch: int, step: int) -> Record:
        """One alternating update, or one of ω alone, and its record."""
        config, progress = self.config, self.progress(epoch, step)
        learning_rate = half_cosine(config.learning_rate, config.learning_rate_end, progress)
        set_rate(self.inner, learning_rate)
        position = {"epoch": epoch, "step": step, "learning_rate": learning_rate}
        train, val = self.batches.at(epoch, step)
        if self.reads_nothing:
            packed = self._without_reads(epoch, step, train, val)
            terms = StepTerms.unpacked(packed, Vector.of(self.alpha))
        else:
            terms = self._update(self.problem_on(epoch, step, train, val), self.frozen(epoch))
        return {**position, **terms.record()}

    def problem(self, epoch: int, step: int) -> BilevelProblem:
        """The losses of one step, in float32, on the batches of all processes."""
        return self.problem_on(epoch, step, *self.batches.at(epoch, step))

    def problem_on(self, epoch: int, step: int, train: Batch, val: Batch) -> BilevelProblem:
        """The losses of one step, its masks and regularisation, on batches that are given."""
        regularisation = self.regularisation(epoch)
        random = not self.reads_nothing or self.adapter.draws(regularisation) is not None
        own = self.adapter.problem(
            train,
            val,
            derive_seed(self.config.seed, "masks", epoch, step) if random else None,
            alpha=self.alpha,
            progress=self.progress(epoch, step),
            regularisation=regularisation,
        )
        return self.ranks.problem(own)

    def _update(self, problem: BilevelProblem, frozen: bool) -> StepTerms:
        """One alternating update, or one of ω alone."""
        if frozen:
            with torch.no_grad():
                outer = read(problem.outer_value(Vector.of(self.omega), Vector.of(self.alpha)))
            return StepTerms(outer, *self._inner_step(problem))
        found = outer_step(
            problem,
            self.omega,
            self.alpha,
            estimator=self.config.estimator,
            outer=self.outer,
            inner=self.inner,
            clip=self.config.clip,
        )
        terms = Vector.of(found.direct), Vector.of(found.implicit)
        return StepTerms(
            found.outer_loss, *self._inner_step(problem), *terms, certificate=found.certificate
        )

    def _without_reads(self, epoch: int, step: int, train: Batch, val: Batch) -> Tensor:
        """One update that leaves its numbers on the device, captured if it is to be."""
        frozen, regularisation = self.frozen(epoch), self.regularisation(epoch)

        def update(train: Batch, val: Batch) -> Tensor:
            return self._update(self.problem_on(epoch, step, train, val), frozen).packed()

        drawn = self.adapter.draws(regularisation)
        reason = None if drawn is None else f"{drawn} draws anew at each evaluation"
        return self.capturing(update, train, val, same=(frozen, regularisation), reason=reason)

    def _inner_step(self, problem: BilevelProblem) -> tuple[float, float]:
        """One step of ω; L_train and the norm of its gradient before it."""
        return self.precision.inner_step(
            problem, self.omega, self.alpha, inner=self.inner, clip=self.config.clip
        )

    def genotype(self) -> Genotype:
        """The genotype of α; in the last of several stages with no more skips than allowed."""
        genotype = self.architecture.genotype(self.alpha)
        progressive = self.config.progressive
        if progressive is None or self.stage + 1 < self.stages:
            return genotype
        return progressive.limited(
            self.space, self.architecture.mixing_weights(self.alpha), genotype
        )

    def update_statistics(self, epoch: int, batches: int) -> None:
        """Take batch norm's averages from the first training batches of an epoch."""
        with seeded(derive_seed(self.config.seed, "statistics", epoch), self.device):
            self.adapter.update_statistics(
                [self.batches.train.at(epoch, step) for step in range(batches)],
                self.alpha,
                self.regularisation(epoch).auxiliary_skip,
            )

    def evaluate(self, epoch: int, batches: Iterable[Batch]) -> Evaluation:
        """The supernet on images, with the running averages last taken."""
        skip = self.regularisation(epoch).auxiliary_skip
        with seeded(derive_seed(self.config.seed, "evaluation", epoch), self.device):
            return evaluate(
                lambda images: self.adapter.logits(images, self.alpha, skip),
                batches,
                self.ranks,
                self.data.train.task,
            )

    def summary(self, epoch: int, steps: list[Record]) -> Record:
        """The record of an epoch: means over steps, the supernet on val, mixing weights."""
        self.update_statistics(epoch, min(self.config.statistics_batches, len(steps)))
        val = self.evaluate(
            epoch,
            in_order(
                self.evaluated, self.data.normalisation, self.config.batch_size, self.ranks.shard
            ),
        )
        if not val.loss < float("inf"):
            raise NonFiniteLossError(
                f"After epoch {epoch} the supernet's validation loss is {val.loss}. Lower the "
                "learning rate in a new run; the last checkpoint is kept."
            )
        mixing = self.architecture.mixing_weights(self.alpha)
        record = {
            "epoch": epoch,
            "train_loss": _mean(steps, "train_loss"),
            "alpha_loss": _mean(steps, "val_loss"),
            **val.to_record("val"),
            "direct_norm": _mean(steps, "direct_norm"),
            "implicit_norm": _mean(steps, "implicit_norm"),
            "angle_degrees": _mean_angle(steps),
            "learning_rate": steps[-1]["learning_rate"],
            "operations": list(self.config.space.operations),
            "mixing": {kind: weights.tolist() for kind, weights in mixing.items()},
            "genotype": self.genotype().to_dict(),
            "wall_seconds": self.wall_seconds,
        }
        certified = [step for step in steps if "certified_degrees" in step]
        if certified:
            record["certified_degrees"] = _mean(certified, "certified_degrees")
            record["certified_steps_percent"] = 100 * _mean(certified, "certificate_holds")
        if self.costs is not None and self.config.target is not None:
            with torch.no_grad():
                expected, found = self.adapter.cost(self.alpha)
            record |= {
                "expected_cost": float(expected),
                "found_cost": float(found),
                "cost_unit": self.costs.unit,
            }
        if self.config.stop is not None and self.config.stop.needs_eigenvalue:
            record["alpha_eigenvalue"] = self.alpha_eigenvalue(epoch)
        return record

    def alpha_eigenvalue(self, epoch: int) -> float:
        """The largest eigenvalue of ∇²_αα L_val, on the first pair of batches of the next epoch."""
        train, val = self.batches.at(epoch + 1, 0)
        seed = derive_seed(self.config.seed, "sharpness", epoch)
        own = self.adapter.problem(
            train,
            val,
            seed,
            alpha=self.alpha,
            progress=self.progress(epoch),
        )
        return largest_eigenvalue(self.ranks.problem(own), self.omega, self.alpha, seed)

    def state(self) -> State:
        return {
            "stage": self.stage,
            "edge_operations": self.space.edge_operations,
            "supernet": self.supernet.state_dict(),
            "alpha": {name: weights.detach() for name, weights in self.alpha.items()},
            "inner": self.inner.state_dict(),
            "outer": self.outer.state_dict(),
            "precision": self.precision.state(),
            "wall_seconds": self.wall_seconds,
        }

    def restore(self, state: State) -> None:
        """Put a state in place."""
        if state["stage"] != self.stage:
            space = self.config.space
            self._begin_stage(
                state["stage"], replace(space, edge_operations=state["edge_operations"])
            )
        self.supernet.load_state_dict(state["supernet"])
        with torch.no_grad():
            for name, weights in state["alpha"].items():
                self.alpha[name].copy_(weights)
        restore(self.inner, state["inner"])
        restore(self.outer, state["outer"])
        self.capturing.forget()
        self.precision.restore(state["precision"])
        self.wall_seconds = state["wall_seconds"]


def paired_batches(config: SearchConfig, data: SearchData, shard: Shard = WHOLE) -> PairedBatches:
    """The stream of a search, or one process's shard of it.

    ω's batches are augmented, and so are α's, as in DARTS.
    """
    augmentation = config.augmentation(data.mirror, data.crop)

    def batches(purpose: str, images: Images) -> Batches:
        size, seed = config.batch_size, config.seed
        return Batches(images, data.normalisation, augmentation, size, seed, purpose, shard)

    return PairedBatches(batches("search train", data.train), batches("search val", data.val))


def _mean_angle(records: list[Record]) -> float | None:
    """Over the steps in which both terms have a direction; None if none has."""
    known = [record for record in records if record["angle_degrees"] is not None]
    return _mean(known, "angle_degrees") if known else None


def _mean(records: list[Record], name: str) -> float:
    return float(sum(record[name] for record in records) / len(records))
