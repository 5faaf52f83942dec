"""`solve`: schedules, warm starts, stopping, callbacks, any optimiser, and bit-equal resumption."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim import ASGD, LBFGS, SGD, Adafactor, Adam, NAdam, RAdam, Rprop
from torch.optim.lr_scheduler import CosineAnnealingLR, ReduceLROnPlateau

from bilevel import BilevelProblem, Vector, alternating_step, solve
from bilevel.alternation import inner_step, outer_step
from bilevel.checkpoints import Checkpoints
from bilevel.constraints import Box
from bilevel.estimators import Exact, FirstOrder, Identity, Neumann
from bilevel.problems import quadratic
from bilevel.solver import HypergradientBelow, Progress, Solution

f64 = torch.float64
READY = quadratic(8, 2, condition=5.0, seed=4)


def stream(number: int) -> BilevelProblem:
    """A minibatch a step: the target of G moves, as noise would move it."""
    noise = torch.randn(8, generator=torch.Generator().manual_seed(number), dtype=f64)
    return BilevelProblem(
        lambda w, a: READY.problem.inner(w, a) + 0.01 * noise @ w,
        lambda w, a: READY.problem.outer(w, a) + 0.01 * noise @ w,
    )


def run(steps: int, checkpoints: Checkpoints | None = None, **changes: Any) -> Solution:
    options: dict[str, Any] = {
        "inner": lambda ps: SGD(ps, lr=0.5, momentum=0.9),
        "outer": lambda ps: Adam(ps, lr=0.05),
        "inner_schedule": lambda optimizer: CosineAnnealingLR(optimizer, T_max=20),
        "outer_schedule": lambda optimizer: ReduceLROnPlateau(optimizer, patience=1),
        "warm_start": True,
        "checkpoints": checkpoints,
    }
    estimator = Neumann(terms=0, step=0.9, stationary=None, tolerance=None)
    return solve(
        stream, estimator, READY.params, READY.hyperparams, steps=steps, **(options | changes)
    )


def bits(solution: Solution) -> list[Any]:
    points = [solution.omega, solution.alpha, *solution.alphas]
    return [Vector.of(point).flat().tolist() for point in points] + [solution.steps]


def test_a_resumed_solve_equals_an_uninterrupted_one_bit_for_bit(tmp_path: Path) -> None:
    folder = Checkpoints(tmp_path / "states", every=3)
    run(7, folder)
    resumed = run(13, folder)
    assert bits(resumed) == bits(run(13))
    assert bits(run(13, folder)) == bits(resumed)  # nothing left to do
    assert len(list((tmp_path / "states").glob("*.checkpoint"))) == 2
    assert not list((tmp_path / "states").glob("*.part"))


def test_an_interruption_in_mid_solve_loses_nothing_but_steps(tmp_path: Path) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.record.number == 7:
            raise KeyboardInterrupt

    folder = Checkpoints(tmp_path, every=3)
    with pytest.raises(KeyboardInterrupt):
        run(13, folder, callbacks=[interrupt])
    assert bits(run(13, folder)) == bits(run(13))


def test_lbfgs_inside_resumes_bit_for_bit_too(tmp_path: Path) -> None:
    changes = {"inner": lambda ps: LBFGS(ps, max_iter=3), "inner_schedule": None}
    folder = Checkpoints(tmp_path, every=2)
    run(3, folder, **changes)
    assert bits(run(5, folder, **changes)) == bits(run(5, **changes))


@pytest.mark.parametrize("kind", [NAdam, RAdam, Adafactor, ASGD, Rprop])
def test_states_of_optimisers_in_their_own_precision_resume_too(kind: Any, tmp_path: Path) -> None:
    changes = {"inner": lambda ps: kind(ps, lr=0.01), "outer": lambda ps: kind(ps, lr=0.01)}
    folder = Checkpoints(tmp_path, every=2)
    run(4, folder, **changes)
    assert bits(run(9, folder, **changes)) == bits(run(9, **changes))


def test_a_checkpoint_of_another_solve_is_refused(tmp_path: Path) -> None:
    folder = Checkpoints(tmp_path, every=1)
    run(2, folder)
    with pytest.raises(ValueError, match=r"was made with outer = Adam .*this solve has SGD"):
        run(3, folder, outer=lambda ps: SGD(ps, lr=0.1))
    with pytest.raises(ValueError, match="has done 2 already"):
        run(1, folder)


def test_a_damaged_checkpoint_is_passed_over_and_two_are_an_error(tmp_path: Path) -> None:
    folder = Checkpoints(tmp_path, every=2)
    run(4, folder)
    latest = tmp_path / "step-00000004.checkpoint"
    latest.write_bytes(latest.read_bytes()[:-1])
    with pytest.warns(UserWarning, match="step-00000004.checkpoint is damaged: the SHA-256"):
        assert bits(run(6, folder)) == bits(run(6))
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    with (
        pytest.warns(UserWarning, match="is damaged"),
        pytest.raises(ValueError, match="None of the 2 checkpoints"),
    ):
        run(6, folder)


def test_a_checkpoint_of_the_format_before_is_refused_by_its_number(tmp_path: Path) -> None:
    (tmp_path / "step-00000004.pt").write_bytes(b"PK")
    with pytest.raises(ValueError, match="holds states of format 1"):
        run(6, Checkpoints(tmp_path))


def test_warm_start_carries_q_from_step_to_step() -> None:
    """SOBA's single loop: one product a step, and q tends to H⁻¹v on a fixed problem."""

    def error(warm_start: bool) -> float:
        last = solve(
            READY.problem,
            Neumann(terms=0, step=0.9, stationary=None, tolerance=None),
            READY.params,
            READY.hyperparams,
            inner=lambda ps: SGD(ps, lr=0.0),
            outer=lambda ps: SGD(ps, lr=0.0),
            steps=60,
            warm_start=warm_start,
        ).steps[-1]
        exact = Vector.of(Exact()(READY.problem, READY.params, READY.hyperparams).implicit)
        return abs(last.implicit_norm / float(exact.norm()) - 1)

    assert error(True) < 1e-4
    assert error(False) > 0.1


def test_warm_start_needs_an_estimator_that_takes_one() -> None:
    with pytest.raises(ValueError, match="Exact has no `start`"):
        solve(
            READY.problem,
            Exact(),
            READY.params,
            READY.hyperparams,
            inner=lambda ps: SGD(ps, lr=0.1),
            outer=lambda ps: SGD(ps, lr=0.1),
            steps=1,
            warm_start=True,
        )


def test_schedules_are_stepped_once_a_step() -> None:
    rates: list[float] = []

    def schedule(optimizer: torch.optim.Optimizer) -> CosineAnnealingLR:
        made = CosineAnnealingLR(optimizer, T_max=4)
        rates.append(optimizer.param_groups[0]["lr"])
        schedule.optimizer = optimizer  # type: ignore[attr-defined]
        return made

    def look(progress: Progress) -> None:
        rates.append(schedule.optimizer.param_groups[0]["lr"])  # type: ignore[attr-defined]

    run(4, inner_schedule=schedule, callbacks=[look])
    assert rates == pytest.approx([0.5, 0.4268, 0.25, 0.0732, 0.0], abs=1e-4)


def test_stopping_rule_ends_the_solve_and_says_so() -> None:
    solution = solve(
        READY.problem,
        Exact(),
        READY.params,
        READY.hyperparams,
        inner=lambda ps: LBFGS(ps, max_iter=20, line_search_fn="strong_wolfe"),
        outer=lambda ps: SGD(ps, lr=1 / READY.largest_outer_curvature()),
        steps=300,
        stop=HypergradientBelow(1e-3),
    )
    assert solution.stopped
    assert solution.steps[-1].total_norm < 1e-3 <= solution.steps[-2].total_norm
    assert not run(2).stopped


def test_callbacks_see_every_step() -> None:
    seen: list[int] = []
    watched = run(3, callbacks=[lambda progress: seen.append(progress.record.number)])
    assert bits(watched) == bits(run(3))
    assert seen == [0, 1, 2]


@pytest.mark.parametrize(
    "write",
    [
        lambda progress: progress.alpha.clamp_(0.1, 0.2),
        lambda progress: progress.alpha.data.clamp_(0.1, 0.2),
        lambda progress: progress.omega.zero_(),
    ],
)
def test_a_callback_that_writes_to_its_copies_is_refused_by_name(write: Any) -> None:
    with pytest.raises(
        ValueError, match=r"<lambda> wrote to Progress\..*solve\(constraint=\.\.\.\)"
    ):
        run(3, callbacks=[write])


def test_a_callback_that_writes_to_what_solve_was_given_is_refused_by_name() -> None:
    alpha = READY.hyperparams.clone()
    with pytest.raises(ValueError, match="wrote to a tensor that solve was given, which it copied"):
        solve(
            READY.problem,
            Exact(),
            READY.params,
            alpha,
            inner=lambda ps: SGD(ps, lr=0.1),
            outer=lambda ps: SGD(ps, lr=0.1),
            steps=2,
            callbacks=[lambda progress: alpha.clamp_(0, 1)],
        )


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"clip": 1.0}, "clip"),
        ({"inner_steps": 2}, "inner_steps"),
        ({"warm_start": False}, "warm_start"),
        ({"inner_schedule": None}, "schedules"),
        ({"inner_schedule": lambda o: CosineAnnealingLR(o, T_max=30)}, "schedules"),
        ({"constraint": Box(-10, 10)}, "constraint"),
    ],
)
def test_a_checkpoint_of_other_settings_is_refused_by_their_name(
    changed: dict[str, Any], name: str, tmp_path: Path
) -> None:
    folder = Checkpoints(tmp_path, every=1)
    run(2, folder)
    with pytest.raises(ValueError, match=f"was made with {name} = "):
        run(3, folder, **changed)


def test_the_trajectory_of_alpha_is_kept_where_it_is_small_and_as_asked(tmp_path: Path) -> None:
    assert len(run(5).alphas) == 6
    assert run(5, keep_alphas=0).alphas == []
    last = run(5, keep_alphas=2).alphas
    assert [Vector.of(a).flat().tolist() for a in last] == [
        Vector.of(a).flat().tolist() for a in run(5).alphas[-2:]
    ]
    folder = Checkpoints(tmp_path, every=3)
    run(3, folder, keep_alphas=2)
    resumed = run(7, folder, keep_alphas=2).alphas
    assert torch.equal(resumed[-1], run(7).alphas[-1])
    assert len(resumed) == 2


def test_of_a_large_alpha_memory_and_checkpoints_do_not_grow_with_the_steps(tmp_path: Path) -> None:
    """α of 4 MiB: 17 MiB would be kept after four steps, and a state is α and ω alone."""
    alpha, omega = torch.zeros(1000, 1049), torch.zeros(1049)
    problem = BilevelProblem(
        lambda w, a: (a @ w).square().mean() + w.square().sum() + w.sum(),
        lambda w, a: (w - 1).square().sum(),
    )
    sizes = []
    for steps in (4, 8):
        solution = solve(
            problem,
            Identity(0.1),
            omega,
            alpha,
            inner=lambda ps: SGD(ps, lr=0.01),
            outer=lambda ps: SGD(ps, lr=0.01),
            steps=steps,
            checkpoints=Checkpoints(tmp_path / str(steps), every=4, keep=1),
        )
        assert solution.alphas == []
        sizes.append(sum(f.stat().st_size for f in (tmp_path / str(steps)).glob("*.checkpoint")))
    # the records of the steps, a few hundred bytes each, are all that grows
    assert sizes[1] - sizes[0] < 10_000
    assert sizes[0] < 1.1 * 4 * (alpha.numel() + omega.numel())


def test_paths_may_be_text(tmp_path: Path) -> None:
    run(2, Checkpoints(str(tmp_path / "states"), every=1))
    resumed = run(3, Checkpoints(str(tmp_path / "states"), every=1))
    assert bits(resumed) == bits(run(3))


def test_iterators_and_inference_mode_serve_solve_and_alternating_steps() -> None:
    net = torch.nn.Linear(3, 1, dtype=f64)
    x = torch.ones(5, 3, dtype=f64)
    problem = BilevelProblem(
        lambda w, a: ((x @ w[0].T + w[1]) ** 2).mean() + a * w[0].square().sum(),
        lambda w, a: (x @ w[0].T + w[1] - 1).square().mean(),
    )

    def solved(omega: Any) -> torch.Tensor:
        found: torch.Tensor = solve(
            problem,
            FirstOrder(),
            omega,
            torch.tensor(0.5, dtype=f64),
            inner=lambda ps: SGD(ps, lr=0.1),
            outer=lambda ps: SGD(ps, lr=0.1),
            steps=3,
        ).omega[0]
        return found

    expected = solved(list(net.parameters()))
    assert torch.equal(solved(net.parameters()), expected)
    with torch.inference_mode():
        assert torch.equal(solved(net.parameters()), expected)
    alpha = torch.tensor(0.5, dtype=f64, requires_grad=True)
    inner, outer = SGD(net.parameters(), lr=0.1), SGD([alpha], lr=0.1)
    for _ in range(3):
        alternating_step(
            problem, net.parameters(), alpha, estimator=FirstOrder(), inner=inner, outer=outer
        )
    assert torch.equal(net.weight, expected)


def test_lbfgs_moves_omega_through_its_closure() -> None:
    """One step with a line search on a quadratic of two variables is close to its minimum."""
    problem = BilevelProblem(
        lambda w, a: ((w - a) ** 2 * torch.tensor([1.0, 3.0])).sum(), lambda w, a: w.sum()
    )
    omega = torch.zeros(2, requires_grad=True)
    alpha = torch.ones(2, requires_grad=True)
    step = alternating_step(
        problem,
        omega,
        alpha,
        estimator=FirstOrder(),
        inner=LBFGS([omega], max_iter=20, line_search_fn="strong_wolfe"),
        outer=SGD([alpha], lr=0.1),
    )
    assert torch.allclose(omega, alpha, atol=1e-4)
    assert step.inner_loss == pytest.approx(4.0)
    assert omega.grad is None


def test_lbfgs_is_refused_where_it_has_no_meaning() -> None:
    omega = torch.zeros(2, requires_grad=True)
    alpha = torch.ones(2, requires_grad=True)
    problem = BilevelProblem(lambda w, a: (w * w).sum(), lambda w, a: w.sum())
    lbfgs, sgd = LBFGS([omega]), SGD([alpha], lr=0.1)
    with pytest.raises(ValueError, match="outer=LBFGS"):
        alternating_step(
            problem,
            omega,
            alpha,
            estimator=FirstOrder(),
            inner=SGD([omega], lr=0.1),
            outer=LBFGS([alpha]),
        )
    with pytest.raises(ValueError, match=r"clip=1.0 with inner=LBFGS"):
        alternating_step(
            problem, omega, alpha, estimator=FirstOrder(), inner=lbfgs, outer=sgd, clip=1.0
        )


def test_inner_steps_move_omega_that_often_at_one_alpha() -> None:
    problem = BilevelProblem(lambda w, a: (w - a) ** 2, lambda w, a: w * a)
    solution = solve(
        problem,
        FirstOrder(),
        torch.tensor(1.0, dtype=f64),
        torch.tensor(0.0, dtype=f64),
        inner=lambda ps: SGD(ps, lr=0.25),
        outer=lambda ps: SGD(ps, lr=0.0),
        steps=2,
        inner_steps=3,
    )
    assert solution.omega.item() == pytest.approx(0.5**6)
    with pytest.raises(ValueError, match="inner_steps=0"):
        run(1, inner_steps=0)


@pytest.mark.parametrize(
    ("option", "bad"),
    [
        *(("clip", bad) for bad in (-1.0, 0.0, float("nan"), True, "1")),
        *(("steps", bad) for bad in (0, -1, float("nan"), 2.5, True)),
        *(("inner_steps", bad) for bad in (0, float("nan"), 1.5, True)),
        *(("keep_alphas", bad) for bad in (-1, float("nan"), True)),
    ],
)
def test_numbers_that_make_no_sense_are_refused_before_any_work(option: str, bad: Any) -> None:
    ready, number = quadratic(8, 2, condition=5.0, seed=4), re.escape(f"({option}={bad})")

    def never(*_: Any) -> torch.Tensor:
        raise AssertionError("a loss was evaluated")

    untouched = BilevelProblem(never, never)
    omega, alpha = ready.params.requires_grad_(), ready.hyperparams.requires_grad_()
    sgd: dict[str, Any] = {"inner": SGD([omega], lr=0.1)}
    both: Any = sgd | {"outer": SGD([alpha], lr=0.1), "estimator": FirstOrder()}
    with pytest.raises(ValueError, match=f"solve{number}"):
        run(**({"steps": 1} | {option: bad}))
    if option in ("clip", "inner_steps"):
        with pytest.raises(ValueError, match=f"alternating_step{number}"):
            alternating_step(untouched, omega, alpha, **both, **{option: bad})
    if option == "clip":
        with pytest.raises(ValueError, match=f"outer_step{number}"):
            outer_step(untouched, omega, alpha, **both, clip=bad)
        with pytest.raises(ValueError, match=f"inner_step{number}"):
            inner_step(untouched, omega, alpha, **sgd, clip=bad)


def test_a_checkpoint_folder_wants_sensible_numbers(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"every=0"):
        Checkpoints(tmp_path, every=0)
    with pytest.raises(ValueError, match=r"keep=nan"):
        Checkpoints(tmp_path, keep=float("nan"))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [SGD, Adam])
def test_a_fused_optimiser_takes_the_steps_of_a_plain_one(kind: Any) -> None:
    """Gradients of sums have stride 0, and those through a transpose are transposed."""
    ones, square = torch.ones(3, dtype=f64), torch.arange(9, dtype=f64).reshape(3, 3)

    def mixed(x: Any) -> torch.Tensor:
        return x["v"].sum() + (x["u"].t() * square).t().contiguous().sum() * 0.1

    problem = BilevelProblem(
        lambda w, a: mixed(w) + 0 * (a["u"].sum() + a["v"].sum()),
        lambda w, a: mixed(a) + w["v"].sum(),
    )

    def steps(fused: bool) -> list[float]:
        omega, alpha = ({"u": square.clone(), "v": ones.clone()} for _ in range(2))
        inner, outer = (kind(list(x.values()), lr=0.1, fused=fused) for x in (omega, alpha))
        for _ in range(2):
            alternating_step(
                problem, omega, alpha, estimator=FirstOrder(), inner=inner, outer=outer
            )
        return [x for point in (omega, alpha) for x in Vector.of(point).flat().tolist()]

    assert steps(fused=True) == pytest.approx(steps(fused=False), abs=1e-12)
