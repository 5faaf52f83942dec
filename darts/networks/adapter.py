"""A supernet on two batches, as a bilevel problem: ω its parameters, α its architecture."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor

from bilevel.problem import BilevelProblem
from bilevel.vector import Tree
from darts.methods.alpha_penalty import AlphaPenalty
from darts.methods.mixing_weights import MixingWeights
from darts.methods.perturbation import Perturbation, perturbed
from darts.methods.target import Target
from darts.networks.architecture import Alpha, Architecture
from darts.networks.cost import CostTable
from darts.networks.joined_leaves import joined, joining_pays
from darts.networks.supernet import Supernet
from darts.spaces.normalization import BatchNorm
from darts.spaces.operations import Operation
from darts.tasks import CLASSIFICATION, Task

Batch = tuple[Float[Tensor, "_ _ _ _"], Tensor]
"""(images [b c h w], labels [b ...] as the task has them)"""


@dataclass(frozen=True)
class Regularisation:
    """Regularisation of a step: auxiliary skips, drop-path, dropout, as in `MixingWeights`.

    Args:
        alpha_penalty: λ of the penalty on α in L_val.
    """

    auxiliary_skip: float = 0.0
    drop_path: float = 0.0
    skip_dropout: float = 0.0
    dropout: float = 0.0
    alpha_penalty: float = 0.0


UNREGULARISED = Regularisation()


@dataclass(frozen=True)
class SupernetAdapter:
    """The losses of a supernet, functions of (ω, α).

    L_train(ω, α) = loss(train batch) + weight_decay/2 · ‖ω‖², because SGD with weight decay
    minimises that; the optimiser of ω then has none of its own. L_val(ω, α) = loss(val batch). The
    loss is the task's, cross-entropy in a classification; both are means over the batch, by its
    own batch-norm statistics.

    Args:
        supernet: evaluated in training mode; left in training mode.
        architecture: makes mixing weights of α.
        weight_decay: λ ≥ 0. The paper searches S1 with 3e-4.
        perturbation: L_train is taken at perturbed mixing weights (SDARTS).
        auxiliary_weight: weight of the auxiliary head's loss, a term of L_train.
        task: the task, whose loss is taken.
        costs: costs of the operations in the network to be retrained.
        target: the term of that network's cost in L_val; None leaves it out.
        alpha_penalty: a term of L_val in α alone; its weight is the regularisation's.

    Raises:
        ValueError: the spaces differ, or the weight decay is negative; or it is 0 although only
            sampled operations are computed, so that L_train would ignore the others.
    """

    supernet: Supernet
    architecture: Architecture
    weight_decay: float
    perturbation: Perturbation | None = None
    auxiliary_weight: float = 0.0
    task: Task = CLASSIFICATION
    costs: CostTable | None = None
    target: Target | None = None
    alpha_penalty: AlphaPenalty | None = None

    def __post_init__(self) -> None:
        if self.supernet.space != self.architecture.space:
            raise ValueError(
                f"the supernet is of space {self.supernet.space.name!r}, the architecture of "
                f"{self.architecture.space.name!r}. Make both of one space."
            )
        if not self.weight_decay >= 0:
            raise ValueError(f"weight_decay={self.weight_decay}: it must not be negative.")
        if self.architecture.mixing.samples and self.weight_decay == 0:
            raise ValueError(
                f"weight_decay=0 with {type(self.architecture.mixing).__name__}(): L_train would "
                "ignore the operations that are not drawn, and its Hessian be singular there. Give "
                "a weight decay above 0."
            )
        self.supernet.train()

    @property
    def omega(self) -> dict[str, Tensor]:
        """ω: the supernet's own parameters, not copies; an optimiser of them moves the supernet."""
        return dict(self.supernet.named_parameters())

    def problem(
        self,
        train: Batch,
        val: Batch,
        seed: int | None,
        *,
        alpha: Alpha | None = None,
        progress: float = 0.0,
        regularisation: Regularisation = UNREGULARISED,
    ) -> BilevelProblem:
        """The problem of one step.

        Evaluations write nothing: parameters are replaced by ω, buffers by scratch copies, and
        every evaluation runs under the random state of `seed` and leaves the global one alone. So
        all of them see the same masks, the same sample of paths, and the same perturbation.

        Args:
            train: L_train's batch.
            val: L_val's batch.
            seed: seed of all that is random in the step. None promises that nothing is (`draws`);
                the random state is then neither set nor kept, which a captured step cannot do.
            alpha: α at the beginning of the step, where a perturbation is found.
            progress: share of the search that is done, in [0, 1), for schedules.
            regularisation: probabilities of dropping, and weights of auxiliary skips.
        """
        self.supernet.train()
        offsets = self._offsets(train, seed, alpha, progress, regularisation)

        def inner(omega: Tree, alpha: Tree) -> Tensor:
            mixing = self._mix(alpha, progress, regularisation)
            if offsets is not None:
                mixing = replace(mixing, operations=perturbed(mixing.operations, offsets))
            flat: Tensor | None = None
            if self.weight_decay != 0 and joining_pays(omega):
                flat, omega = joined(omega)
            loss = self._loss(omega, mixing, train, self.auxiliary_weight)
            # α of a kind of cell that a small supernet lacks has no influence, and is meant to
            for leaf in alpha.values():
                loss = loss + leaf.flatten()[:0].sum()
            if self.weight_decay == 0:
                return loss
            if flat is None:
                flat = torch.cat([leaf.flatten() for leaf in omega.values()])
            return loss + self.weight_decay / 2 * flat.square().sum()

        def outer(omega: Tree, alpha: Tree) -> Tensor:
            mixing = self._mix(alpha, progress, regularisation)
            loss = self._with_cost(self._loss(omega, mixing, val, 0.0), alpha, mixing)
            return self._with_penalty(loss, alpha, regularisation.alpha_penalty)

        problem = BilevelProblem(inner, outer)
        return problem if seed is None else problem.replaying(seed)

    def draws(self, regularisation: Regularisation) -> str | None:
        """The random part of an evaluation, in words; None where there is none."""
        drawn = {
            type(self.architecture.mixing).__name__: self.architecture.mixing.random,
            type(self.perturbation).__name__: self.perturbation is not None,
            "drop-path": regularisation.drop_path > 0,
            "dropout of skips": regularisation.skip_dropout > 0,
            "dropout": regularisation.dropout > 0,
            "an operation that draws": not all(
                module.shared for module in self.supernet.modules() if isinstance(module, Operation)
            ),
        }
        return next((name for name, random in drawn.items() if random), None)

    def cost(self, alpha: Tree, mixing: MixingWeights | None = None) -> tuple[Tensor, Tensor]:
        """The expected cost of the network to be retrained, and that of α's genotype.

        Args:
            alpha: α.
            mixing: the weights of a step, if costs are to be added up by them.
        """
        assert self.costs is not None
        return self.costs.expected(
            self.architecture.space,
            self.architecture.mixing_weights(alpha),
            None if mixing is None else mixing.operations,
        )

    def _with_cost(self, loss: Tensor, alpha: Tree, mixing: MixingWeights) -> Tensor:
        if self.target is None:
            return loss
        return self.target.loss(loss, *self.cost(alpha, mixing if self.target.drawn else None))

    def _with_penalty(self, loss: Tensor, alpha: Tree, weight: float) -> Tensor:
        if self.alpha_penalty is None or weight == 0:
            return loss
        return loss + weight * self.alpha_penalty.value(self.architecture.logits(alpha))

    def _mix(self, alpha: Tree, progress: float, regularisation: Regularisation) -> MixingWeights:
        mixing = self.architecture.draw(alpha, progress)
        return replace(
            mixing,
            auxiliary_skip=regularisation.auxiliary_skip,
            drop_path=regularisation.drop_path,
            skip_dropout=regularisation.skip_dropout,
            dropout=regularisation.dropout,
        )

    def _offsets(
        self,
        train: Batch,
        seed: int | None,
        alpha: Alpha | None,
        progress: float,
        regularisation: Regularisation,
    ) -> dict[str, Tensor] | None:
        """The perturbation of one step, found at its first point."""
        if self.perturbation is None:
            return None
        if alpha is None or seed is None:
            raise ValueError(
                "a perturbation is found at α, from a seed: pass alpha and a seed to problem()."
            )
        device = train[0].device
        on_gpu = device.type == "cuda"
        with torch.random.fork_rng([device] if on_gpu else []):
            torch.manual_seed(seed)  # the sample and the masks of the step itself
            mixing = self._mix(alpha, progress, regularisation)
            masks = torch.get_rng_state()
            masks_on_gpu = torch.cuda.get_rng_state(device) if on_gpu else None

            def loss(weights: Mapping[str, Tensor]) -> Tensor:
                torch.set_rng_state(masks)
                if masks_on_gpu is not None:  # drop-path and dropout draw there
                    torch.cuda.set_rng_state(masks_on_gpu, device)
                moved = replace(mixing, operations=weights)
                return self._loss(self.omega, moved, train, self.auxiliary_weight)

            return self.perturbation.offsets(
                mixing.operations,
                loss,
                self.perturbation.radius(progress),
                torch.Generator().manual_seed(seed),
            )

    @cached_property
    def _written(self) -> dict[str, Tensor]:
        """Buffers that an evaluation may write: none but an operation's of one's own.

        A copy of every statistic, in every evaluation, would be a thousand small kernels.
        """
        modules = dict(self.supernet.named_modules())
        return {
            name: buffer
            for name, buffer in self.supernet.named_buffers()
            if not isinstance(modules[name.rpartition(".")[0]], BatchNorm)
        }

    def _loss(
        self, omega: Tree, mixing: MixingWeights, batch: Batch, auxiliary_weight: float
    ) -> Tensor:
        images, labels = batch
        scratch = {name: buffer.clone() for name, buffer in self._written.items()}
        # no weight of a supernet has two names, and to look for them takes longer than a small cell
        output = torch.func.functional_call(
            self.supernet, (omega, scratch), (images, mixing), tie_weights=False
        )
        if not isinstance(output, tuple):
            return self.task.loss(output, labels)
        logits, auxiliary = output
        loss = self.task.loss(logits, labels)
        if auxiliary_weight == 0:
            return loss
        return loss + auxiliary_weight * self.task.loss(auxiliary, labels)

    @torch.no_grad()
    def update_statistics(
        self, batches: Iterable[Batch], alpha: Alpha, auxiliary_skip: float = 0.0
    ) -> None:
        """Set the running statistics to the plain average over `batches`, at the current ω and α.

        The only thing here that writes buffers. Call it before `logits`, after ω or α moved.
        """
        norms = [module for module in self.supernet.modules() if isinstance(module, BatchNorm)]
        mixing = replace(self.architecture.deterministic(alpha), auxiliary_skip=auxiliary_skip)
        self.supernet.train()
        count = 0
        try:
            for count, (images, _) in enumerate(batches, start=1):
                for norm in norms:
                    if count == 1:
                        norm.reset_statistics()
                    norm.momentum = 1 / count  # a cumulative average
                self.supernet(images, mixing)
        finally:
            for norm in norms:
                norm.momentum = None
        if count == 0:
            raise ValueError(
                "update_statistics got no batches, so the statistics are as they were. Give at "
                "least one training batch."
            )

    @torch.no_grad()
    def logits(
        self, images: Float[Tensor, "b c h w"], alpha: Alpha, auxiliary_skip: float = 0.0
    ) -> Float[Tensor, "b classes"]:
        """The supernet's answer in evaluation mode, by its running statistics."""
        mixing = replace(self.architecture.deterministic(alpha), auxiliary_skip=auxiliary_skip)
        self.supernet.eval()
        try:
            return cast(Tensor, self.supernet(images, mixing))
        finally:
            self.supernet.train()
