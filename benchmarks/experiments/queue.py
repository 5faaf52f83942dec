"""Runs side by side until all are done or the time is over."""

from __future__ import annotations

import multiprocessing
import os
import platform
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from benchmarks.experiments.definition import Experiment, Planned, Setting
from benchmarks.experiments.packing import unpack
from benchmarks.experiments.record import RunRecord, machine_name
from benchmarks.experiments.run import carry_out, left_alone
from darts.data import Digits, ImageSet
from darts.records.environment import describe_environment


@dataclass(frozen=True)
class Place:
    """Where and how runs are done.

    Attributes:
        work: folder of run folders with their checkpoints.
        journal: file of lines that all runs append to.
        data_root: folder that holds cifar-10-batches-py; of no use with `packed`.
        packed: file that `packing.pack` wrote, in place of the data folder.
        device: cpu, cuda, cuda:1, ...
        deadline: seconds since the epoch of the clock at which to stop; None for never.
        epochs: of a search after which to stop, before its own end; None for all.
        capture: take steps on a GPU as one replayed graph, where they can be.
    """

    work: Path
    journal: Path
    data_root: str
    packed: Path | None
    device: str
    deadline: float | None
    epochs: int | None = None
    capture: bool = False


def missing(
    experiment: Experiment, records: Sequence[RunRecord], only: str | None = None
) -> list[Planned]:
    """The runs without a complete record, in order; of some methods alone if `only` names them."""
    done = {record.key for record in records if record.complete}
    wanted = None if only is None else set(only.split(","))
    return [
        run
        for run in experiment.runs
        if run.key not in done and (wanted is None or run.method in wanted or run.name in wanted)
    ]


def work_through(runs: Iterable[Planned], place: Place, workers: int) -> None:
    """Do, or go on with, the runs; `workers` processes of one thread each take them in order."""
    with _processes(workers) as pool:
        waiting = [(run, pool.submit(_do, run, place)) for run in runs]
        for run, outcome in waiting:  # of several settings, names occur more than once
            print(f"{run.setting.name}, {run.name}: {outcome.result()}", flush=True)


def machine_of_runs(device: str) -> str:
    """The name of this machine as runs record it: by a process like theirs."""
    with _processes(1) as pool:
        return machine_name(pool.submit(describe_environment, device, "").result())


@contextmanager
def _processes(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Processes of one thread each. On x86 they use AVX2 unless their user says otherwise.

    Processors with AVX-512 then round as those without.
    """
    wanted = {"OMP_NUM_THREADS": "1"}  # for libraries beside torch
    if platform.machine().lower() in ("x86_64", "amd64"):
        wanted |= {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
    added = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(added)
    try:
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
            yield pool
    finally:
        for name in added:
            del os.environ[name]


def _do(run: Planned, place: Place) -> str:
    if place.deadline is not None and time.time() > place.deadline:
        return "not begun: the time is over"
    outcome = carry_out(
        run,
        images_of(run.setting, place.data_root, place.packed),
        place.work / run.setting.name / run.name,
        place.journal,
        device=place.device,
        deadline=place.deadline,
        epochs=place.epochs,
        capture=place.capture,
    )
    if left_alone():  # nobody reads the outcome, and the pool's worker would wait for ever
        os._exit(1)
    return outcome


@lru_cache(maxsize=1)
def images_of(setting: Setting, data_root: str, packed: Path | None) -> ImageSet:
    """The images of a setting, from a packed file if there is one."""
    if packed is not None:
        return unpack(setting, packed)
    data = setting.data
    return data.load() if isinstance(data, Digits) else replace(data, root=data_root).load()
