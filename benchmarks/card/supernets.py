"""Supernets on a card: the reference and the project's, in all forms, in turns."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.card.launches import ONE_BY_ONE, STACKED, one_by_one
from benchmarks.card.steps import (
    ALPHA,
    BF16,
    CAPTURED,
    CG5,
    EAGER,
    FLOAT32,
    NCHW,
    OURS,
    PRODUCT,
    READING,
    REFERENCE,
    SEARCH,
    TF32,
    WEIGHT,
    Stepping,
    named,
    ours,
    reference,
)
from benchmarks.card.timing import Case, Cases, Clock, discard, ratios, spreads
from benchmarks.steps import Setting
from darts.training.captured import cuda_graph

EXACT, DIFFERENCES = "amended exact", "amended by differences"
FIRST, SECOND = "first-order α step", "DARTS second order"
PROFILED = (
    named(OURS, CAPTURED, FLOAT32, WEIGHT),
    named(NCHW, CAPTURED, FLOAT32, WEIGHT),
    named(PRODUCT, CAPTURED, FLOAT32, EXACT),
    named(REFERENCE, EAGER, FLOAT32, WEIGHT),
)
Record = dict[str, Any]


def pairs() -> list[tuple[str, str]]:
    """What is divided by what: the reference's eager step by ours, our steps of α by one of ω."""
    found = []
    for form, precision in ((EAGER, FLOAT32), (CAPTURED, FLOAT32), (EAGER, TF32), (CAPTURED, TF32)):
        own = named(OURS, form, precision, WEIGHT)
        for step in (WEIGHT, SEARCH, FIRST, SECOND):
            theirs = named(REFERENCE, EAGER, precision, step)
            found.append((theirs, named(OURS, form, precision, step)))
        for step in (FIRST, EXACT, DIFFERENCES, SECOND, CG5):
            found.append((named(OURS, form, precision, step), own))
    for precision in (TF32, BF16):
        own = named(OURS, CAPTURED, FLOAT32, WEIGHT)
        found.append((own, named(OURS, CAPTURED, precision, WEIGHT)))
    for step in (WEIGHT, SEARCH, EXACT):
        last = named(NCHW, CAPTURED, FLOAT32, step)
        found.append((named(REFERENCE, EAGER, FLOAT32, step), last))
        found.append((last, named(OURS, CAPTURED, FLOAT32, step)))
    own = named(NCHW, CAPTURED, FLOAT32, WEIGHT)
    found.append((named(NCHW, CAPTURED, FLOAT32, EXACT), own))
    for step in (WEIGHT, SEARCH):
        theirs = named(REFERENCE, EAGER, BF16, step)
        found += [(theirs, named(OURS, form, BF16, step)) for form in (EAGER, CAPTURED)]
        theirs = named(REFERENCE, CAPTURED, FLOAT32, step)
        found.append((theirs, named(OURS, CAPTURED, FLOAT32, step)))
    return found


def step_of(stepping: Stepping, step: str, precision: str) -> Case:
    if step == WEIGHT:
        return stepping.weight_step(precision)
    if step == SEARCH:
        return stepping.search_step(ALPHA[FIRST], precision)
    if step in READING:
        return stepping.alpha_step(READING[step], precision, reads=True)
    return stepping.alpha_step(ALPHA[step], precision)


def captured(cases: Cases, call: Case, pool: Any) -> Case:
    """A call as a graph; without a GPU the call itself. It has to be warm."""
    discard(call())
    if not cases.on_gpu:
        return call
    cases.wait()

    def run() -> Tensor:
        discard(call())
        return torch.empty(0, device=cases.device)

    return cuda_graph(run, pool)


MAIN, MANY, MEMORY, PRECISIONS = "main", "many", "memory", "precisions"
"""Kinds of plan."""


def plan(kind: str) -> list[tuple[str, str, str, tuple[str, ...]]]:
    """(who, form, precision, steps), most important first."""
    if kind == MEMORY:  # eager steps alone have a peak that tells
        return [
            (REFERENCE, EAGER, FLOAT32, (WEIGHT,)),
            (OURS, EAGER, FLOAT32, (WEIGHT,)),
            (NCHW, EAGER, FLOAT32, (WEIGHT,)),
            (OURS, CAPTURED, FLOAT32, (WEIGHT, SEARCH)),
            (REFERENCE, EAGER, FLOAT32, (SEARCH,)),
        ]
    if kind == PRECISIONS:
        return [
            (OURS, CAPTURED, FLOAT32, (WEIGHT,)),
            (OURS, CAPTURED, TF32, (WEIGHT,)),
            (OURS, CAPTURED, BF16, (WEIGHT,)),
            (REFERENCE, EAGER, TF32, (WEIGHT,)),
            (REFERENCE, EAGER, BF16, (WEIGHT,)),
            (OURS, CAPTURED, TF32, (EXACT,)),
            (NCHW, CAPTURED, TF32, (WEIGHT,)),
            (NCHW, CAPTURED, BF16, (WEIGHT,)),
        ]
    first = [
        (REFERENCE, EAGER, FLOAT32, (WEIGHT, SEARCH)),
        (OURS, CAPTURED, FLOAT32, (WEIGHT, SEARCH, EXACT)),
        (OURS, EAGER, FLOAT32, (WEIGHT,)),
        (NCHW, CAPTURED, FLOAT32, (WEIGHT, EXACT)),
        (OURS, CAPTURED, FLOAT32, (FIRST,)),
    ]
    if kind == MAIN:
        return first
    return [
        *first,
        (OURS, CAPTURED, TF32, (WEIGHT, EXACT)),
        (NCHW, CAPTURED, TF32, (WEIGHT, EXACT)),
        (OURS, CAPTURED, BF16, (WEIGHT,)),
        (NCHW, CAPTURED, BF16, (WEIGHT,)),
        (REFERENCE, CAPTURED, FLOAT32, (WEIGHT,)),
        (REFERENCE, EAGER, FLOAT32, (FIRST, SECOND)),
        (OURS, CAPTURED, FLOAT32, (DIFFERENCES, SECOND)),
        (OURS, EAGER, FLOAT32, (SEARCH, FIRST, EXACT, DIFFERENCES, SECOND)),
        (REFERENCE, EAGER, TF32, (WEIGHT, SEARCH)),
        (REFERENCE, EAGER, BF16, (WEIGHT, SEARCH)),
        (OURS, EAGER, FLOAT32, (CG5,)),
    ]


def supernet(
    setting: Setting,
    device: str,
    clock: Clock,
    keep: Callable[[Record], None],
    *,
    rounds: int,
    kind: str,
    profiled: bool,
) -> None:
    """Time the steps of one setting, those of one kind of plan; `keep` gets each figure."""
    cases = Cases(device)
    record: dict[str, Any] = {}
    pool = torch.cuda.graph_pool_handle() if cases.on_gpu else None
    made = {
        OURS: ours(setting, device),
        NCHW: ours(setting, device, torch.contiguous_format),
        REFERENCE: reference(setting, device),
    }
    skipped = []
    for who, form, precision, steps in plan(kind):
        for step in steps:
            name = named(who, form, precision, step)
            if clock.left < 0.4 * clock.budget:
                skipped.append(name)
                continue

            def make(
                who: str = who, form: str = form, precision: str = precision, step: str = step
            ) -> Case:
                call = step_of(made[who], step, precision)
                return call if form == EAGER else captured(cases, call, pool)

            cases.add(name, make)
    record |= {"parameters": sum(p.numel() for p in made[OURS].omega.values())}
    memory_first = [name for name in cases.calls if f"{EAGER}, {FLOAT32}" in name]
    record["peak MiB"] = {name: cases.peak_mib(name) for name in memory_first}
    keep(record | {"failed": cases.failed, "left out for time": skipped})
    seconds = cases.rounds(clock.part(0.75 * clock.left), rounds)
    record |= {"seconds": spreads(seconds), "ratios": ratios(seconds, pairs())}
    keep(record | {"failed": cases.failed, "left out for time": skipped})
    if profiled:
        record["kernels"] = {}
        for name in PROFILED:
            if clock.left > 5:
                record["kernels"][name] = cases.kernels(name)
                keep(record | {"failed": cases.failed, "left out for time": skipped})


def compiled(setting: Setting, device: str, clock: Clock, rounds: int) -> Record:
    """The weight step with every cell under torch.compile, beside eager and captured."""
    cases = Cases(device)
    plain, fused = ours(setting, device), ours(setting, device)
    cells: Any = fused.network.cells

    def itself(step: Case) -> Case:
        return step

    for cell in cells:
        cell.compile(dynamic=False)
    for form, stepping in (("", plain), ("compiled, ", fused)):
        step = stepping.weight_step(FLOAT32)
        cases.add(f"{form}eager", partial(itself, step))
        cases.add(f"{form}captured", partial(captured, cases, step, None))
    seconds = cases.rounds(clock, rounds)
    over = [(form, f"compiled, {form}") for form in ("eager", "captured")]
    return {
        "seconds": spreads(seconds),
        "ratios": ratios(seconds, over),
        "peak MiB": {name: cases.peak_mib(name) for name in ("eager", "compiled, eager")},
        "failed": cases.failed,
    }


def stacks(setting: Setting, device: str, clock: Clock, rounds: int) -> Record:
    """Captured steps with all norms of a node on one stack, beside one by one, in turns."""
    cases, made = Cases(device), ours(setting, device)
    over = []
    for step in (WEIGHT, SEARCH, EXACT):
        for form in (STACKED, ONE_BY_ONE):

            def make(step: str = step, form: str = form) -> Case:
                call = step_of(made, step, FLOAT32)

                def run() -> Any:
                    with one_by_one() if form == ONE_BY_ONE else nullcontext():
                        return call()

                return captured(cases, run, None)

            cases.add(f"{form}: {step}", make)
        over.append((f"{ONE_BY_ONE}: {step}", f"{STACKED}: {step}"))
    seconds = cases.rounds(clock, rounds)
    return {
        "seconds": spreads(seconds),
        "ratios": ratios(seconds, over),
        "failed": cases.failed,
    }


def in_a_process(arguments: list[str], seconds: float) -> str:
    """What a run of this benchmark's own command says, ended after so many seconds."""
    command = [sys.executable, "-m", "benchmarks.card", *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=max(seconds, 1), check=False
        )
    except subprocess.TimeoutExpired:
        return f"not done after {seconds:.0f} s"
    return "" if done.returncode == 0 else (done.stdout + done.stderr)[-1500:]
