"""The reference solver: α and ω take turns (Algorithm 1 of DARTS, with any estimator)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from bilevel.alternation import Step as Step
from bilevel.alternation import alternating_step as alternating_step
from bilevel.alternation import inner_step as inner_step
from bilevel.alternation import outer_step as outer_step
from bilevel.checkpoints import Checkpoints, State
from bilevel.estimators.base import Estimator
from bilevel.problem import BilevelProblem
from bilevel.vector import Tree, Vector


@dataclass(frozen=True)
class StepRecord:
    """What is kept of a step: numbers only.

    Attributes:
        number: of the step, from 0.
        outer_loss, inner_loss, inner_gradient_norm: as in `Step`.
        direct_norm, implicit_norm, total_norm: of g₁, the estimate of g₂, and their sum.
        products: Hessian products spent on q; None for estimators without a q.
        residual: ‖v − Hq‖/‖v‖, where the method knows it.
        status: how the solve for q ended, by name.
    """

    number: int
    outer_loss: float
    inner_loss: float
    inner_gradient_norm: float
    direct_norm: float
    implicit_norm: float
    total_norm: float
    products: int | None
    residual: float | None
    status: str | None

    @staticmethod
    def of(number: int, step: Step) -> StepRecord:
        hypergradient, solve = step.hypergradient, step.hypergradient.solve
        direct, implicit, total = (
            float(Vector.of(term).norm())
            for term in (hypergradient.direct, hypergradient.implicit, hypergradient.total)
        )
        return StepRecord(
            number,
            step.outer_loss,
            step.inner_loss,
            step.inner_gradient_norm,
            direct,
            implicit,
            total,
            None if solve is None else solve.products,
            None if solve is None else solve.residual,
            None if solve is None else solve.status.name,
        )


@dataclass(frozen=True)
class Progress:
    """What a callback sees after each step. ω and α are copies."""

    record: StepRecord
    omega: Tree
    alpha: Tree


@dataclass(frozen=True)
class HypergradientBelow:
    """A stopping rule: the estimated hypergradient is shorter than `norm`."""

    norm: float

    def __call__(self, record: StepRecord) -> bool:
        return record.total_norm < self.norm


@dataclass(frozen=True)
class Solution:
    """Where `solve` ended, and every step that led there.

    Attributes:
        omega: the inner variable, in the caller's structure.
        alpha: the outer variable, in the caller's structure.
        steps: one record per step.
        alphas: α after 0, 1, 2, ... steps, in the caller's structure.
        stopped: the stopping rule ended it, and not the number of steps.
    """

    omega: Tree
    alpha: Tree
    steps: list[StepRecord]
    alphas: list[Tree]
    stopped: bool = False


def solve(
    problem: BilevelProblem | Callable[[int], BilevelProblem],
    estimator: Estimator,
    omega: Tree,
    alpha: Tree,
    *,
    inner: Callable[[list[torch.Tensor]], Optimizer],
    outer: Callable[[list[torch.Tensor]], Optimizer],
    steps: int,
    inner_steps: int = 1,
    clip: float | None = None,
    warm_start: bool = False,
    inner_schedule: Callable[[Optimizer], LRScheduler] | None = None,
    outer_schedule: Callable[[Optimizer], LRScheduler] | None = None,
    stop: Callable[[StepRecord], bool] | None = None,
    callbacks: Sequence[Callable[[Progress], None]] = (),
    checkpoints: Checkpoints | None = None,
) -> Solution:
    """Alternate `steps` times from (ω, α), which are copied and left as they were.

    Args:
        problem: one problem, or a function of the step's number that gives its minibatches', such
            as `lambda number: problem.on(*batches(number))`. It must give the same problem for the
            same number, or a resumed solve is another one.
        estimator: gives the hypergradient of each step.
        inner: builds the optimiser of ω from its leaves, e.g. `lambda ps: SGD(ps, lr=0.1)`.
        outer: builds the optimiser of α.
        steps: how many, at least 1.
        inner_steps: of ω, per step of α.
        clip: as in `alternating_step`.
        warm_start: begin each search for q at the last one's. With one product a step this is a
            single loop, as in SOBA (Dagréou et al. 2022): `Neumann(terms=0, step=...)`.
        inner_schedule, outer_schedule: build a learning-rate schedule, stepped once a step.
        stop: ends the solve when true of a step's record.
        callbacks: called after each step.
        checkpoints: where to keep states. If there is one already, the solve goes on from it, and
            ends with the same bits as if it had never been interrupted.

    Raises:
        ValueError: steps or inner_steps < 1; warm_start with an estimator that has no `start`;
            a checkpoint from another solve.
    """
    if steps < 1 or inner_steps < 1:
        raise ValueError(
            f"solve(steps={steps}, inner_steps={inner_steps}): at least one step is needed."
        )
    if warm_start and not _takes_start(estimator):
        raise ValueError(
            f"warm_start=True, but {type(estimator).__name__} has no `start`: there is no q to "
            "begin with. Use one that iterates, such as ConjugateGradient or Neumann."
        )
    run = _Run(estimator, omega, alpha, inner, outer, inner_schedule, outer_schedule)
    saved = None if checkpoints is None else checkpoints.latest(run.belongs_to)
    if saved is not None:
        run.restore(saved)
        if len(run.records) > steps:
            raise ValueError(
                f"solve(steps={steps}): the checkpoint has done {len(run.records)} already. Ask "
                "for at least as many, or give another folder."
            )
    stopped = stop is not None and bool(run.records) and stop(run.records[-1])
    while not stopped and len(run.records) < steps:
        number = len(run.records)
        record = run.step(
            problem if isinstance(problem, BilevelProblem) else problem(number),
            inner_steps,
            clip,
            warm_start,
        )
        for callback in callbacks:
            callback(Progress(record, _copied(run.omega), _copied(run.alpha)))
        stopped = stop is not None and stop(record)
        done = number + 1
        if checkpoints is not None and (done % checkpoints.every == 0 or done == steps or stopped):
            checkpoints.save(done, run.state(), run.belongs_to)
    return Solution(_copied(run.omega), _copied(run.alpha), run.records, run.alphas, stopped)


class _Run:
    """ω, α, their optimisers and schedules, q, and the trajectory: all that a step changes."""

    def __init__(
        self,
        estimator: Estimator,
        omega: Tree,
        alpha: Tree,
        inner: Callable[[list[torch.Tensor]], Optimizer],
        outer: Callable[[list[torch.Tensor]], Optimizer],
        inner_schedule: Callable[[Optimizer], LRScheduler] | None,
        outer_schedule: Callable[[Optimizer], LRScheduler] | None,
    ) -> None:
        self.estimator = estimator
        self.omega, self.alpha = _owned(omega), _owned(alpha)
        self.inner, self.outer = inner(list(self.omega.leaves)), outer(list(self.alpha.leaves))
        self.belongs_to = {
            "estimator": repr(estimator) if is_dataclass(estimator) else type(estimator).__name__,
            "inner": " ".join(repr(self.inner).split()),
            "outer": " ".join(repr(self.outer).split()),
            "omega": _shape(self.omega),
            "alpha": _shape(self.alpha),
        }
        self.schedules = [
            make(optimizer)
            for make, optimizer in ((inner_schedule, self.inner), (outer_schedule, self.outer))
            if make is not None
        ]
        self.records: list[StepRecord] = []
        self.alphas: list[Tree] = [_copied(self.alpha)]

    def step(
        self, problem: BilevelProblem, inner_steps: int, clip: float | None, warm_start: bool
    ) -> StepRecord:
        taken = alternating_step(
            problem,
            self.omega.tree(),
            self.alpha.tree(),
            estimator=self.estimator.redrawn(len(self.records)),
            outer=self.outer,
            inner=self.inner,
            clip=clip,
            inner_steps=inner_steps,
        )
        found = taken.hypergradient.solve
        if warm_start and found is not None:
            self._start_at(found.value)
        for schedule in self.schedules:
            if isinstance(schedule, ReduceLROnPlateau):
                schedule.step(taken.outer_loss)
            else:
                schedule.step()
        self.records.append(StepRecord.of(len(self.records), taken))
        self.alphas.append(_copied(self.alpha))
        return self.records[-1]

    def _start_at(self, q: Vector) -> None:
        self.estimator = replace(self.estimator, start=q.tree())  # type: ignore[type-var]

    def state(self) -> State:
        start = getattr(self.estimator, "start", None)
        return {
            "omega": [leaf.detach() for leaf in self.omega.leaves],
            "alpha": [leaf.detach() for leaf in self.alpha.leaves],
            "inner": self.inner.state_dict(),
            "outer": self.outer.state_dict(),
            "schedules": [schedule.state_dict() for schedule in self.schedules],
            "start": None if start is None else list(Vector.of(start).leaves),
            "records": [asdict(record) for record in self.records],
            "alphas": [list(Vector.of(alpha).leaves) for alpha in self.alphas],
        }

    def restore(self, state: State) -> None:
        with torch.no_grad():
            for point, name in ((self.omega, "omega"), (self.alpha, "alpha")):
                for leaf, saved in zip(point.leaves, state[name], strict=True):
                    leaf.copy_(saved)
        self.inner.load_state_dict(state["inner"])
        self.outer.load_state_dict(state["outer"])
        for schedule, saved in zip(self.schedules, state["schedules"], strict=True):
            schedule.load_state_dict(saved)
        if state["start"] is not None:
            self._start_at(Vector(tuple(state["start"]), self.omega.treespec))
        self.records = [StepRecord(**record) for record in state["records"]]
        spec = self.alpha.treespec
        self.alphas = [Vector(tuple(leaves), spec).tree() for leaves in state["alphas"]]


def _takes_start(estimator: Any) -> bool:
    return is_dataclass(estimator) and any(field.name == "start" for field in fields(estimator))


def _shape(point: Vector) -> str:
    shapes = [tuple(leaf.shape) for leaf in point.leaves]
    return f"{point.dtype} {dict(zip(point.names(), shapes, strict=True))}"


def _owned(tree: Tree) -> Vector:
    point = Vector.of(tree)
    return Vector(
        tuple(leaf.detach().clone().requires_grad_() for leaf in point.leaves), point.treespec
    )


def _copied(point: Vector) -> Tree:
    return Vector(tuple(leaf.detach().clone() for leaf in point.leaves), point.treespec).tree()
