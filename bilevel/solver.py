"""The reference solver: α and ω take turns (Algorithm 1 of DARTS, with any estimator)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from bilevel.alternation import Constraint, project
from bilevel.alternation import Step as Step
from bilevel.alternation import alternating_step as alternating_step
from bilevel.alternation import inner_step as inner_step
from bilevel.alternation import outer_step as outer_step
from bilevel.arguments import check_clip, check_count
from bilevel.callbacks import Progress as Progress
from bilevel.callbacks import Shown, name_of_function
from bilevel.callbacks import StepRecord as StepRecord
from bilevel.checkpoints import Checkpoints
from bilevel.estimators import Certified, Estimator
from bilevel.problem import BilevelProblem
from bilevel.scope import passed
from bilevel.state import State
from bilevel.vector import Tree, Vector


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
        alphas: the last α's that were kept, in the caller's structure; α after 0, 1, 2, ... steps
            where all were, as for small α's.
        stopped: whether the stopping rule ended it, and not the number of steps.
    """

    omega: Tree
    alpha: Tree
    steps: list[StepRecord]
    alphas: list[Tree]
    stopped: bool = False


@torch.inference_mode(False)
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
    constraint: Constraint | None = None,
    keep_alphas: int | None = None,
) -> Solution:
    """Alternate `steps` times from (ω, α), which are copied and left as they were.

    Args:
        problem: one problem, or a function of the step's number that gives its minibatches', such
            as `lambda number: problem.on(*batches(number))`. It must give the same problem for the
            same number, or a resumed solve is another one.
        estimator: gives the hypergradient of each step.
        inner: builds the optimiser of ω from its leaves, e.g. `lambda ps: SGD(ps, lr=0.1)`.
        outer: builds the optimiser of α.
        steps: number of steps of α, at least 1.
        inner_steps: number of steps of ω for each step of α.
        clip: as in `alternating_step`.
        warm_start: begin each search for q at the last one's. With one product a step this is a
            single loop, as in SOBA (Dagréou et al. 2022): `Neumann(terms=0, step=...)`.
        inner_schedule: builds ω's learning-rate schedule from its optimiser; it advances once
            a step.
        outer_schedule: the same for α.
        stop: a function of a step's record; the solve ends after the first step for which it is
            true.
        callbacks: called after each step. They see copies; one that writes to them is refused, for
            that moves nothing.
        checkpoints: the folder of states. If there is one already, the solve goes on from it, and
            ends with the same bits as if it had never been interrupted.
        constraint: keeps α in a set: `constraints.Box(0, 1)`, `constraints.Simplex()`, or any
            function that takes α to the nearest point of a set. Applied after each step of α, which
            with SGD is projected gradient descent; α must begin in the set. At a minimum on the
            edge the hypergradient is not zero.
        keep_alphas: number of the last α's kept in memory and in every checkpoint. None: all
            steps + 1 of them if that takes no more than 16 MiB, and else none.

    Raises:
        ValueError: steps, inner_steps or keep_alphas is no whole number, or too small; clip is not
            positive; warm_start with an estimator that has no `start`;
            a checkpoint from another solve; an α outside of `constraint`; a callback that writes
            to its arguments.
    """
    check_count("solve", steps=steps, inner_steps=inner_steps)
    check_clip("solve", clip)
    if keep_alphas is not None:
        check_count("solve", least=0, keep_alphas=keep_alphas)
    if warm_start and not _takes_start(estimator):
        raise ValueError(
            f"warm_start=True, but {type(estimator).__name__} has no `start`: there is no q to "
            "begin with. Use one that iterates, such as ConjugateGradient or Neumann."
        )
    omega, alpha = Vector.of(omega).tree(), Vector.of(alpha).tree()  # iterators are used up
    how = {"clip": clip, "inner_steps": inner_steps, "constraint": constraint}
    schedules = inner_schedule, outer_schedule
    run = _Run(estimator, omega, alpha, (inner, outer), schedules, how, warm_start)
    most = _most_kept(run.alpha, steps) if keep_alphas is None else keep_alphas
    run.alphas = deque(run.alphas, maxlen=most)
    if constraint is not None:
        _require_inside(run.alpha, constraint)
    saved = None if checkpoints is None else checkpoints.latest(run.belongs_to)
    if saved is not None:
        run.restore(saved)
        if len(run.records) > steps:
            raise ValueError(
                f"solve(steps={steps}): the checkpoint has done {len(run.records)} already. Ask "
                "for at least as many, or give another folder."
            )
    shown = Shown(run.omega, run.alpha, passed=(omega, alpha))
    stopped = stop is not None and bool(run.records) and stop(run.records[-1])
    while not stopped and len(run.records) < steps:
        number = len(run.records)
        with passed(ω=Vector.of(omega), α=Vector.of(alpha)):  # the run has copies
            record = run.step(problem if isinstance(problem, BilevelProblem) else problem(number))
        for callback in callbacks:
            shown.to(callback, Progress(record, _copied(run.omega), _copied(run.alpha)))
        stopped = stop is not None and stop(record)
        done = number + 1
        if checkpoints is not None and (done % checkpoints.every == 0 or done == steps or stopped):
            checkpoints.save(done, run.state(), run.belongs_to)
    return Solution(_copied(run.omega), _copied(run.alpha), run.records, list(run.alphas), stopped)


class _Run:
    """ω, α, their optimisers and schedules, q, and the trajectory: all that a step changes."""

    def __init__(
        self,
        estimator: Estimator,
        omega: Tree,
        alpha: Tree,
        optimizers: tuple[Callable[[list[torch.Tensor]], Optimizer], ...],
        schedules: tuple[Callable[[Optimizer], LRScheduler] | None, ...],
        how: dict[str, Any],
        warm_start: bool,
    ) -> None:
        self.estimator, self.how, self.warm_start = estimator, how, warm_start
        self.omega, self.alpha = _owned(omega), _owned(alpha)
        self.inner, self.outer = (
            make(list(point.leaves))
            for make, point in zip(optimizers, (self.omega, self.alpha), strict=True)
        )
        self.belongs_to = {
            "estimator": repr(estimator) if is_dataclass(estimator) else type(estimator).__name__,
            "inner": " ".join(repr(self.inner).split()),
            "outer": " ".join(repr(self.outer).split()),
            "omega": _shape(self.omega),
            "alpha": _shape(self.alpha),
            "warm_start": repr(warm_start),
            **{name: name_of_function(value) for name, value in how.items()},
        }
        # after the optimisers were written down, for a schedule changes its optimiser at once
        self.schedules = [
            make(optimizer)
            for make, optimizer in zip(schedules, (self.inner, self.outer), strict=True)
            if make is not None
        ]
        self.belongs_to["schedules"] = "; ".join(map(_settings_of, self.schedules)) or "none"
        self.records: list[StepRecord] = []
        self.alphas: deque[Tree] = deque([_copied(self.alpha)])

    def step(self, problem: BilevelProblem) -> StepRecord:
        estimator = self.estimator
        if isinstance(estimator, Certified):  # its bound is a chance of its own at every step
            estimator = estimator.redrawn(len(self.records))
        taken = alternating_step(
            problem,
            self.omega.tree(),
            self.alpha.tree(),
            estimator=estimator,
            outer=self.outer,
            inner=self.inner,
            **self.how,
        )
        found = taken.hypergradient.solve
        if self.warm_start and found is not None:
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
        _restore(self.inner, state["inner"])
        _restore(self.outer, state["outer"])
        for schedule, saved in zip(self.schedules, state["schedules"], strict=True):
            schedule.load_state_dict(saved)
        if state["start"] is not None:
            self._start_at(Vector(tuple(state["start"]), self.omega.treespec))
        self.records = [StepRecord(**record) for record in state["records"]]
        spec = self.alpha.treespec
        saved = (Vector(tuple(leaves), spec).tree() for leaves in state["alphas"])
        self.alphas = deque(saved, maxlen=self.alphas.maxlen)


def _restore(optimizer: Optimizer, saved: State) -> None:
    """The optimiser's state, in the precision that it was saved in.

    `load_state_dict` takes every floating tensor to the dtype of its parameter: NAdam's product of
    momenta, in float32 beside parameters in float64, would go on in float64.
    """
    optimizer.load_state_dict(saved)
    params = [p for group in optimizer.param_groups for p in group["params"]]
    for number, own in saved["state"].items():
        for name, value in own.items():
            loaded = optimizer.state[params[number]][name]
            if isinstance(value, torch.Tensor) and loaded.dtype != value.dtype:
                optimizer.state[params[number]][name] = value.to(loaded.device)


def _takes_start(estimator: Any) -> bool:
    return is_dataclass(estimator) and any(field.name == "start" for field in fields(estimator))


KEPT_BYTES = 2**24
"""How much a trajectory of α may take without being asked for."""


def _most_kept(alpha: Vector, steps: int) -> int:
    """All α's of so many steps, or none where they would take too much."""
    size = sum(leaf.numel() * leaf.element_size() for leaf in alpha.leaves)
    return steps + 1 if (steps + 1) * size <= KEPT_BYTES else 0


def _require_inside(alpha: Vector, constraint: Constraint) -> None:
    aside = Vector.of(_copied(alpha))
    moved = project(aside, constraint)
    allowed = 100 * torch.finfo(alpha.dtype).eps * (1 + float(alpha.detach().norm()))
    if not moved <= allowed:
        raise ValueError(
            f"α begins outside of the constraint, {moved:.3g} from it. Begin at the nearest point "
            "inside: pass constraint(alpha) as α."
        )


def _settings_of(schedule: LRScheduler) -> str:
    """What a schedule was built with: its state before the first step, which has no tensors."""
    state = {key: value for key, value in schedule.state_dict().items() if key[0] != "_"}
    return f"{type(schedule).__name__} {state}"


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
