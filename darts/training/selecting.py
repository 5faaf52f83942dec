"""The selection after a search: operations taken away in turn, ω tuned in between (DARTS-PT)."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from bilevel.state import State
from darts.config.schedule import half_cosine
from darts.data import Batch, Images
from darts.data.batches import in_order
from darts.data.seeds import derive_seed, seeded
from darts.methods.removal import Decision, Masks, Removal, choosing_nodes, decided_genotype
from darts.networks.adapter import SupernetAdapter
from darts.networks.decided import DecidedArchitecture
from darts.records.run_folder import Record
from darts.spaces import Genotype, Space
from darts.training.evaluation import Evaluation, NonFiniteLossError, evaluate
from darts.training.optimizers import restore, set_rate, weights_optimizer
from darts.training.searching import Searching


class Selecting:
    """The selection on a searched supernet, round by round; it moves its ω, and leaves its α.

    A round decides one edge of each kind of cell, and once all edges are decided one node of
    each. The supernet is evaluated on whole batches of α's half, in order and not augmented, by
    the batches' own statistics, as in their code.

    Args:
        searching: a search after its last step.
        removal: the rule.
    """

    def __init__(self, searching: Searching, removal: Removal) -> None:
        self.searching, self.removal = searching, removal
        config, space = searching.config, searching.space
        self.decisions: list[Decision] = []
        self.plan = list(self._planned())
        self.rounds = len(self.plan)
        self.epochs = (self.rounds - 1) * removal.epochs
        self.steps = searching.batches.per_epoch
        self.regularisation = searching.regularisation(config.epochs - 1)
        self.images = _whole_batches(searching.evaluated, config.batch_size)
        self.inner = weights_optimizer(
            searching.omega.values(), self.first_rate, config.momentum, on_device=None
        )
        self.evaluations = sum(
            len(space.candidates_of(kind, row)) if row is not None else _losses_of(space, node)
            for places in self.plan
            for kind, row, node in places
        )

    @property
    def first_rate(self) -> float:
        return self.removal.rate * self.searching.config.learning_rate

    def _planned(self) -> Iterator[list[tuple[str, int | None, int]]]:
        """By round one (kind, row, its node) of each kind; of a node to decide, row is None."""
        space = self.searching.space
        orders: dict[str, list[tuple[int | None, int]]] = {}
        for kind in space.cell_kinds:
            seed = derive_seed(self.searching.config.seed, "selection order", kind)
            generator = torch.Generator().manual_seed(seed)
            nodes = choosing_nodes(space)
            rows = torch.randperm(len(space.edges), generator=generator).tolist()
            order = torch.randperm(len(nodes), generator=generator).tolist()
            orders[kind] = [
                *((row, space.edges[row][1]) for row in rows),
                *((None, nodes[i]) for i in order),
            ]
        for places in zip(*orders.values(), strict=True):
            yield [(kind, *place) for kind, place in zip(orders, places, strict=True)]

    def step(self, epoch: int, step: int) -> float:
        """One step of ω on decided weights; L_train before it."""
        searching, config = self.searching, self.searching.config
        progress = (epoch + step / self.steps) / self.epochs
        end = min(config.learning_rate_end, self.first_rate)
        set_rate(self.inner, half_cosine(self.first_rate, end, progress))
        train = searching.batches.train.at(config.epochs + epoch, step)
        problem = self._adapter(self._masks()).problem(
            train,
            train,  # L_val is not evaluated
            derive_seed(config.seed, "selection masks", epoch, step),
            regularisation=self.regularisation,
        )
        loss, _ = searching.precision.inner_step(
            problem, searching.omega, searching.alpha, inner=self.inner, clip=config.clip
        )
        return loss

    def decide(self, number: int) -> list[Decision]:
        """The decisions of a round, each made with those before it in place."""
        made = []
        for kind, row, node in self.plan[number]:
            decision = self._node(kind, node) if row is None else self._edge(kind, row)
            made.append({"round": number, "kind": kind, **decision})
            self.decisions.append(made[-1])
        return made

    def _edge(self, kind: str, row: int) -> Record:
        """The operation without which the supernet is least accurate, ties by the larger loss."""
        space, masks = self.searching.space, self._masks()
        names = space.candidates_of(kind, row)
        tried = {
            name: self.evaluate(masks.without(kind, [row], space.operations.index(name)))
            for name in (names if len(names) > 1 else ())
        }
        chosen = min(tried, key=lambda name: self._quality(tried[name]), default=names[0])
        weights = self.searching.architecture.mixing_weights(self.searching.alpha)[kind][row]
        by_weight = dict(zip(space.operations, weights.tolist(), strict=True))
        return {
            "row": row,
            "operation": chosen,
            "largest_weight": max(names, key=lambda name: by_weight[name]),
            "without": {name: found.to_dict() for name, found in tried.items()},
        }

    def _node(self, kind: str, node: int) -> Record:
        """The edges left when those that the supernet misses least are gone."""
        space, masks = self.searching.space, self._masks()
        rows, trials = list(space.incoming(node)), []
        while len(rows) > space.kept_inputs[space.targets.index(node)]:
            tried = {row: self.evaluate(masks.without(kind, [row])) for row in rows}
            lost = max(tried, key=lambda row: self._quality(tried[row]))
            trials.append({str(row): found.to_dict() for row, found in tried.items()})
            masks = masks.without(kind, [lost])
            rows.remove(lost)
        return {"node": node, "rows": rows, "without": trials}

    def evaluate(self, masks: Masks, images: Images | None = None) -> Evaluation:
        """The supernet on α's half through masks."""
        searching, config = self.searching, self.searching.config
        mixing = replace(
            self._adapter(masks).architecture.deterministic(searching.alpha),
            auxiliary_skip=self.regularisation.auxiliary_skip,
        )

        def outputs(batch: Tensor) -> Tensor:
            found = searching.supernet(batch, mixing)
            logits: Tensor = found[0] if isinstance(found, tuple) else found  # a head's beside it
            return logits

        chosen = self.images if images is None else images
        batches: Iterator[Batch] = in_order(chosen, searching.data.normalisation, config.batch_size)
        searching.supernet.train()
        with seeded(derive_seed(config.seed, "selection evaluation"), searching.device):
            found = evaluate(outputs, batches, task=searching.data.train.task)
        if not found.loss < float("inf"):
            raise NonFiniteLossError(
                f"In the selection the supernet's validation loss is {found.loss}. Lower the "
                "learning rate in a new run."
            )
        return found

    def genotype(self) -> Genotype:
        """What is decided, once all is."""
        return decided_genotype(self.searching.space, self.decisions)

    def state(self) -> State:
        return {
            "decisions": self.decisions,
            "supernet": self.searching.supernet.state_dict(),
            "inner": self.inner.state_dict(),
            "precision": self.searching.precision.state(),
        }

    def restore(self, state: State) -> None:
        """Put a state in place."""
        self.decisions = list(state["decisions"])
        self.searching.supernet.load_state_dict(state["supernet"])
        restore(self.inner, state["inner"])
        self.searching.precision.restore(state["precision"])

    def _quality(self, found: Evaluation) -> tuple[float, float]:
        measure = self.searching.data.train.task.measure
        return measure.better(found.measures[measure.name]), -found.loss

    def _masks(self) -> Masks:
        return Masks.of(self.searching.space, self.decisions, self.searching.device)

    def _adapter(self, masks: Masks) -> SupernetAdapter:
        searching, config = self.searching, self.searching.config
        architecture = DecidedArchitecture(searching.space, config.mixing, masks=masks)
        return SupernetAdapter(
            searching.supernet,
            architecture,
            config.weight_decay,
            auxiliary_weight=config.auxiliary_weight,
            task=searching.data.train.task,
        )


def _losses_of(space: Space, node: int) -> int:
    """Evaluations that a node takes to lose its edges: of all, of all but one, and so on."""
    most = len(space.incoming(node))
    return sum(range(space.kept_inputs[space.targets.index(node)] + 1, most + 1))


def _whole_batches(images: Images, size: int) -> Images:
    """Without the last images, which would make a smaller batch of other statistics."""
    whole = len(images) - len(images) % size
    return images if whole in (0, len(images)) else images.take(torch.arange(whole))
