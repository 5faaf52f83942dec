"""Estimators side by side on one problem, with their errors and costs."""

from __future__ import annotations

import importlib
import io
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from bilevel.arguments import check_count
from bilevel.derivatives import Checked
from bilevel.diagnostics.check_report import CheckReport
from bilevel.diagnostics.checking import check
from bilevel.diagnostics.cost import Count, Ratio, counted, interleaved_seconds, peak_bytes
from bilevel.diagnostics.direction import angle, relative_error
from bilevel.diagnostics.reference import Reference, reference_for, refuse_other_references
from bilevel.estimators import Estimator, Hypergradient
from bilevel.estimators.certificate import Certificate
from bilevel.point import point_of
from bilevel.problem import BilevelProblem
from bilevel.shown import degrees, html_table, short
from bilevel.vector import Tree, Vector

COLUMNS = (
    "estimator",
    "angle to g₂",
    "error of g₂",
    "angle to g",
    "error of g",
    "sign",
    "H products",
    "B products",
    "evaluations",
    "time",
    "MiB",
    "solve",
)
LEGEND = (
    "g₂: the implicit term; g: the whole hypergradient; errors are relative. H, B: the Hessian "
    "and the mixed derivatives of L_train. evaluations: of L_train + L_val. time: in gradients of "
    "L_train, median (middle half). MiB: most memory at once"
)


@dataclass(frozen=True)
class Row:
    """One estimator beside the reference. A number that could not be had is None.

    Attributes:
        estimator: its name.
        angle_implicit_degrees: the angle between its implicit term and g₂.
        angle_total_degrees: the angle between its total and g₁ + g₂.
        error_implicit: ‖its implicit term − g₂‖ / ‖g₂‖.
        error_total: ‖its total − (g₁ + g₂)‖ / ‖g₁ + g₂‖.
        sign: the sign of ⟨its implicit term, g₂⟩: 1, −1, or 0 where one of them is zero.
        count: numbers of products and evaluations.
        gradients: its processor time (wall time off the CPU), in units of one ∇_ω L_train.
        peak_bytes: most tensor memory alive at once.
        status, residual: its own account of how the solve ended.
        warnings: its warnings, each kind once, with its message.
        certificate: its guarantee about g₂, if it gives one.
        failure: its error, if it raised one; all else is then None.
    """

    estimator: str
    angle_implicit_degrees: float | None = None
    angle_total_degrees: float | None = None
    error_implicit: float | None = None
    error_total: float | None = None
    sign: int | None = None
    count: Count | None = None
    gradients: Ratio | None = None
    peak_bytes: int | None = None
    status: str | None = None
    residual: float | None = None
    warnings: tuple[str, ...] = ()
    certificate: Certificate | None = None
    failure: str | None = None

    def record(self) -> dict[str, Any]:
        """The row without nesting: one value a column."""
        flat = asdict(self)
        count, ratio = flat.pop("count") or {}, flat.pop("gradients") or {}
        certificate = flat.pop("certificate") or {}
        flat["certified_degrees"] = certificate.get("angle_degrees")
        flat |= {field.name: count.get(field.name) for field in fields(Count)}
        flat |= {
            "time_gradients": ratio.get("median"),
            "time_gradients_low": ratio.get("low"),
            "time_gradients_high": ratio.get("high"),
        }
        return flat | {"warnings": list(self.warnings)}


@dataclass(frozen=True, repr=False)
class Comparison:
    """A table of estimators; `print(comparison)`, or look at `rows`.

    Attributes:
        rows: one for each estimator, in the order given.
        reference: the truth that they are measured against.
        inner_parameters, outer_parameters: n and m.
        repetitions: number of time measurements.
        check: the report of `bilevel.check` on the problem.
    """

    rows: tuple[Row, ...]
    reference: Reference
    inner_parameters: int
    outer_parameters: int
    repetitions: int
    check: CheckReport | None = None

    def __getitem__(self, estimator: str) -> Row:
        """The row of that name."""
        for row in self.rows:
            if row.estimator == estimator:
                return row
        known = ", ".join(row.estimator for row in self.rows)
        raise KeyError(f"no row {estimator!r}; there are {known}.")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = Table(title=self._heading, caption=LEGEND)
        first, *others, last = COLUMNS
        table.add_column(first, no_wrap=True)
        for name in others:
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column(last, no_wrap=True)
        for row in self.rows:
            table.add_row(row.estimator, *_cells(row, self.reference))
        yield table
        for text in self._notes():
            yield Text(text)

    def __repr__(self) -> str:
        return f"Comparison({len(self.rows)} estimators, {self._heading}; print it for the table)"

    def _repr_html_(self) -> str:
        rows = [[row.estimator, *_cells(row, self.reference)] for row in self.rows]
        return html_table(self._heading, COLUMNS, rows, [LEGEND, *self._notes()])

    @property
    def _heading(self) -> str:
        return (
            f"n = {self.inner_parameters}, m = {self.outer_parameters}; "
            f"truth: {self.reference.description}"
        )

    def _notes(self) -> list[str]:
        notes = [] if self.check is None else [f"check: {self.check}"]
        for row in self.rows:
            failure = [] if row.failure is None else [row.failure]
            notes += [f"{row.estimator}: {text}" for text in (*row.warnings, *failure)]
        return notes

    def __str__(self) -> str:
        text = io.StringIO()
        Console(file=text, width=180).print(self)
        return text.getvalue()

    def to_json(self, path: Path | str | None = None) -> str:
        """The rows and what they rest on, as JSON; also written to `path` if there is one."""
        text = json.dumps(
            {
                "reference": asdict(self.reference.summary()),
                "inner_parameters": self.inner_parameters,
                "outer_parameters": self.outer_parameters,
                "repetitions": self.repetitions,
                "rows": [row.record() for row in self.rows],
            },
            indent=2,
            ensure_ascii=False,
        )
        if path is not None:
            Path(path).write_text(text + "\n")
        return text

    def to_dataframe(self) -> Any:
        """A pandas DataFrame: one line an estimator, one column a value.

        Raises:
            ImportError: pandas is not installed.
        """
        try:
            pandas = importlib.import_module("pandas")
        except ImportError as error:
            raise ImportError(
                "to_dataframe() needs pandas: pip install 'amended-darts[tables]'."
            ) from error
        return pandas.DataFrame([row.record() for row in self.rows]).set_index("estimator")

    def plot(self, path: Path | str) -> Path:
        """Draw the error of g₂ against the time it takes, and return where."""
        from bilevel.diagnostics.plots import draw_comparison

        return draw_comparison(self, Path(path))


@torch.inference_mode(False)
def compare(
    problem: BilevelProblem,
    params: Tree,
    hyperparams: Tree,
    estimators: Sequence[Estimator] | Mapping[str, Estimator],
    reference: Estimator | Hypergradient | None = None,
    *,
    repetitions: int = 5,
    checked: CheckReport | None = None,
) -> Comparison:
    """Measure estimators on one problem at one point. An estimator that raises is a row too.

    Args:
        params: ω. Angles to g₂ mean most at ω = ω*(α); see `stationarity`.
        estimators: by name, or in a sequence and named by their own arguments.
        reference: the truth. By default `Exact` for up to 2,000 inner parameters, and otherwise
            or where H is not positive definite an iterative solve to working precision.
        repetitions: number of time measurements, in which the estimators take turns. 0 calls each
            estimator once, and measures neither time nor memory.
        checked: the report of `bilevel.check` on this problem, if there is one; it is run
            otherwise, for some thirty gradients. Faults give a `CheckFailed`.

    Raises:
        ValueError: no estimators, two of one name, the reference is not to be had, or repetitions
            is no whole number of at least 0.
        TypeError: a loss takes a batch and has none; or the reference is neither an estimator nor a
            hypergradient.
    """
    check_count("compare", least=0, repetitions=repetitions)
    named = _named(estimators)
    problem.refuse_missing_batch()
    omega, alpha = point_of(params, hyperparams)
    refuse_other_references(reference, alpha)
    if checked is None:  # first, for what it finds may leave no reference to be had
        checked = check(problem, omega.tree(), alpha.tree())
        checked.warn_if_wrong()
    truth = reference_for(problem, omega, alpha, reference)
    rows = [_accuracy(name, each, problem, omega, alpha, truth) for name, each in named.items()]
    if repetitions:
        rows = _with_costs(rows, named, problem, omega, alpha, repetitions)
    return Comparison(tuple(rows), truth, omega.numel, alpha.numel, repetitions, checked)


def name_of(estimator: Estimator) -> str:
    """The class and what differs from its defaults: `ConjugateGradient(iterations=20)`.

    Derivatives that a report of `bilevel.check` handed out are `report.derivatives`.
    """
    given: list[str] = []
    if not is_dataclass(estimator):
        return type(estimator).__name__
    for field in fields(estimator):
        value = getattr(estimator, field.name)
        default = field.default if field.default_factory is MISSING else field.default_factory()
        if field.repr and value != default:
            shown = "report.derivatives" if isinstance(value, Checked) else repr(value)
            given.append(f"{field.name}={shown}")
    return f"{type(estimator).__name__}({', '.join(given)})"


def _named(estimators: Sequence[Estimator] | Mapping[str, Estimator]) -> dict[str, Estimator]:
    if isinstance(estimators, Mapping):
        named = dict(estimators)
    else:
        named = {name_of(estimator): estimator for estimator in estimators}
    if not named or len(named) != len(estimators):
        raise ValueError(
            f"compare() got {len(estimators)} estimators under {len(named)} names "
            f"({', '.join(named)}). Give at least one, and each its own name, as a dict."
        )
    return named


def _accuracy(
    name: str,
    estimator: Estimator,
    problem: BilevelProblem,
    omega: Vector,
    alpha: Vector,
    truth: Reference,
) -> Row:
    watched, problem, count = counted(estimator, problem)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = watched(problem, omega.tree(), alpha.tree())
        except Exception as error:  # whatever it is, it is this estimator's outcome
            return Row(name, failure=f"{type(error).__name__}: {error}")
    implicit = Vector.of(result.implicit)
    solve = result.solve
    along = float(implicit.dot(truth.implicit))
    return Row(
        name,
        angle_implicit_degrees=_if_any(angle, implicit, truth.implicit),
        angle_total_degrees=_if_any(angle, result.total, truth.total),
        error_implicit=_if_any(relative_error, implicit, truth.implicit),
        error_total=_if_any(relative_error, result.total, truth.total),
        sign=(along > 0) - (along < 0),
        count=count,
        status=None if solve is None else solve.status.name,
        residual=None if solve is None else solve.residual,
        certificate=result.certificate,
        warnings=tuple({f"{w.category.__name__}: {w.message}": None for w in caught}),
    )


def _if_any(measure: Any, estimate: Tree, truth: Vector) -> float | None:
    """The measure, or None where a zero vector leaves it undefined."""
    try:
        return float(measure(estimate, truth))
    except ValueError:
        return None


def _with_costs(
    rows: list[Row],
    named: Mapping[str, Estimator],
    problem: BilevelProblem,
    omega: Vector,
    alpha: Vector,
    repetitions: int,
) -> list[Row]:
    working = [row for row in rows if row.failure is None]
    calls = [
        lambda each=named[row.estimator]: each(problem, omega.tree(), alpha.tree())
        for row in working
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they are in the rows already
        memory = [peak_bytes(call, omega.device) for call in calls]
        seconds = interleaved_seconds(
            [lambda: problem.inner_gradient(omega, alpha), *calls],
            repetitions=repetitions,
            device=omega.device,
        )
    costs = {
        row.estimator: (Ratio.of(taken, seconds[0]), peak)
        for row, taken, peak in zip(working, seconds[1:], memory, strict=True)
    }
    return [
        row
        if row.estimator not in costs
        else Row(
            **{
                **{field.name: getattr(row, field.name) for field in fields(Row)},
                "gradients": costs[row.estimator][0],
                "peak_bytes": costs[row.estimator][1],
            }
        )
        for row in rows
    ]


def _cells(row: Row, reference: Reference) -> list[str]:
    if row.failure is not None:
        return [""] * 10 + ["raised"]
    assert row.count is not None
    return [
        degrees(row.angle_implicit_degrees, reference.implicit),
        short(row.error_implicit, 2),
        degrees(row.angle_total_degrees, reference.implicit),
        short(row.error_total, 2),
        {1: "right", 0: "none", -1: "WRONG", None: ""}[row.sign],
        str(row.count.hessian_products),
        str(row.count.mixed_products),
        f"{row.count.inner_evaluations}+{row.count.outer_evaluations}",
        ""
        if row.gradients is None
        else f"{row.gradients.median:.3g} ({row.gradients.low:.3g}–{row.gradients.high:.3g})",
        "" if row.peak_bytes is None else f"{row.peak_bytes / 2**20:.2f}",
        row.status or "",
    ]
