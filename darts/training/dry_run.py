"""Some real steps of a run's search and retraining, and an estimate of the whole run from them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import isfinite

from darts.config.full import FullConfig
from darts.data import ImageSet
from darts.networks.counting import multiply_adds_of
from darts.parallel.launch import CPU, Devices
from darts.spaces import Genotype
from darts.training.evaluation import ran_out_of_memory
from darts.training.measuring import Cost, cost_of, memory_of
from darts.training.phases import Phase, Work, phases_of

SMALLEST = 2
"""Images of the first batch, which batch norm needs where a feature map has one pixel."""
BUILDING = "building and first steps"
SHARE_OF_FREE_MEMORY = 0.9
GIB = 2**30


class PhaseError(ValueError):
    """A phase of a dry run failed."""


@dataclass(frozen=True)
class Limits:
    """The limits of a dry run.

    Args:
        memory_gib: largest memory in GiB beyond that held at the beginning; None is nine tenths
            of the memory that is free then.
        images: most images in a batch; None is the run's own batch, as far as the memory allows.

    Raises:
        ValueError: no step is possible within them.
    """

    memory_gib: float | None = None
    images: int | None = None

    def __post_init__(self) -> None:
        if self.memory_gib is not None and not self.memory_gib > 0:
            raise ValueError(f"A dry run in {self.memory_gib:g} GiB: give more than 0.")
        if self.images is not None and self.images < SMALLEST:
            raise ValueError(
                f"A dry run of batches of {self.images}: batch norm needs {SMALLEST} images."
            )


@dataclass(frozen=True)
class Estimate:
    """The estimated cost of one kind of work.

    Attributes:
        stage: name of the phase of the run.
        work, times, images: as in `Work`.
        multiply_adds: number for the work done once, in proportion to that of two images.
        measured: costs by number of images in the batch, ascending.
        once: cost with the run's batch, measured or extrapolated; None where one smaller size is
            all that was measured.
    """

    stage: str
    work: str
    times: int
    images: int
    multiply_adds: int
    measured: dict[int, Cost]
    once: Cost | None


@dataclass(frozen=True)
class DryRun:
    """The estimated cost of a run on this machine.

    Attributes:
        preset: the preset that the run began with.
        runs: number of such runs, one after another.
        estimates: the kinds of work in order.
        networks: sizes by phase, as `Phase` has them.
        held_bytes: memory of the process before the first phase: libraries and images.
        checkpoint_share: largest share of the time that writing checkpoints adds.
    """

    preset: str
    runs: int
    estimates: tuple[Estimate, ...]
    networks: dict[str, dict[str, int]]
    held_bytes: int
    checkpoint_share: float

    def total(self, name: str) -> float | None:
        """Seconds of all runs, of the kind `name` in `Cost`; None where an estimate is missing."""
        costs = [(e.times, e.once) for e in self.estimates]
        known = [times * getattr(once, name) for times, once in costs if once is not None]
        return self.runs * sum(known) if len(known) == len(costs) else None

    @property
    def multiply_adds(self) -> int:
        return self.runs * sum(e.times * e.multiply_adds for e in self.estimates)

    @property
    def peak_bytes(self) -> int | None:
        """Peak memory of the process, libraries and images included; None if not known."""
        peaks = [e.once.peak_bytes for e in self.estimates if e.once is not None]
        return self.held_bytes + max(peaks) if len(peaks) == len(self.estimates) else None


def dry_run(
    config: FullConfig,
    images: ImageSet,
    *,
    devices: Devices = CPU,
    limits: Limits | None = None,
    genotype: Genotype | None = None,
    runs: int = 1,
) -> DryRun:
    """Take some steps of a run, and estimate the whole from them. Nothing is written.

    The run's own objects take the steps, at its widths and depths, on its batches. Where these do
    not fit the memory, smaller batches are taken, and the line through the two largest gives the
    cost of the run's own. Checkpoints (`checkpoint_share` of the time at most), the simple models
    that a result is compared with, and the report are left out.

    Args:
        config: the config of the run.
        images: its data.
        devices: the device to compute on.
        limits: limits of the dry run itself.
        genotype: the genotype to retrain, where there is no search. After a search it is that of α
            after the few steps taken here; another genotype has other costs.
        runs: number of runs that will be made of the config.

    Raises:
        PhaseError: a loss or a gradient is not finite, shapes do not fit, or not even two images
            fit the memory.
    """
    meter = Meter(devices.device, limits or Limits())
    phases = phases_of(config, images, genotype, devices)
    while meter.measured_next(phases):
        pass
    parts = [part for part in (config.search, config.retrain) if part is not None]
    share = max(part.checkpoint_share for part in parts)
    return DryRun(config.preset, runs, tuple(meter.estimates), meter.networks, meter.held, share)


class Meter:
    """Measures phases one after another, all beyond the memory held when it was made."""

    def __init__(self, device: str, limits: Limits) -> None:
        self.device, self.limits = device, limits
        self.memory = memory_of(device)
        self.held = self.base = self.memory.held()
        gib = limits.memory_gib
        self.room = self.memory.free() * SHARE_OF_FREE_MEMORY if gib is None else gib * GIB
        self.estimates: list[Estimate] = []
        self.networks: dict[str, dict[str, int]] = {}

    def measured_next(self, phases: Iterator[Phase]) -> bool:
        """Build and measure the next phase; False if there is none."""
        began = time.perf_counter(), time.process_time()
        with failing_as_phase("building the networks"):
            phase = next(phases, None)
        if phase is None:
            return False
        wall, cpu = time.perf_counter() - began[0], time.process_time() - began[1]
        costs = [self.costs(phase.name, work) for work in phase.works]
        self.networks[phase.name] = phase.sizes()
        extra = sum(max(c.warm_up_seconds for c in measured.values()) for measured in costs)
        built = Cost(wall + extra, cpu + extra, 0)
        self.estimates.append(Estimate(phase.name, BUILDING, 1, 0, 0, {0: built}, built))
        for work, found in zip(phase.works, costs, strict=True):
            said = phase.name, work.name, work.times, work.images, self._count(phase.name, work)
            known = work.images in found or len(found) > 1
            once = extrapolated(found, work.images) if known else None
            self.estimates.append(Estimate(*said, found, once))
        return True

    def costs(self, stage: str, work: Work) -> dict[int, Cost]:
        """Costs of the work with 2 and 8 images and the run's own batch, if that is to fit.

        Else sizes grow fourfold or twofold until the next does not fit.
        """
        most = min(work.images, self.limits.images or work.images)
        costs: dict[int, Cost] = {}
        images = smallest = min(SMALLEST, most)
        while images not in costs:
            once = partial(self._once, stage, work, images)
            try:
                costs[images] = cost_of(once, self.memory, self.base, self.device)
            except (MemoryError, RuntimeError) as error:
                if not ran_out_of_memory(error):
                    raise
                break
            growing = (most if len(costs) > 1 else 0, 4 * images, 2 * images)
            for size in (min(size, most) for size in growing):
                if size > images and extrapolated(costs, size).peak_bytes <= self.room:
                    images = size
                    break
        if not costs or costs[smallest].peak_bytes > self.room:
            taken = "more memory than there is"
            if costs:
                taken = f"{costs[smallest].peak_bytes / GIB:.2f} GiB of memory"
            raise PhaseError(
                f"{stage}, {work.name}, {smallest} images: they take {taken}, and the dry run may "
                f"take {self.room / GIB:.2f} GiB. Give it more, or the network fewer channels or "
                "cells."
            )
        return costs

    def _once(self, stage: str, work: Work, images: int) -> None:
        place = f"{stage}, {work.name}, {images} images"
        with failing_as_phase(place):
            numbers = list(work.once(images))
            if not all(map(isfinite, numbers)):
                raise PhaseError(f"{place}: not finite: {numbers}")

    def _count(self, stage: str, work: Work) -> int:
        """Multiply-adds with the run's batch; what PyTorch keeps of counting is not the run's."""
        images = min(SMALLEST, work.images)
        self.memory.forget_peak()
        held = self.memory.held()
        found = multiply_adds_of(lambda: self._once(stage, work, images))
        self.memory.forget_peak()
        self.base += max(0, self.memory.held() - held)
        return found * work.images // images


def extrapolated(costs: dict[int, Cost], images: int) -> Cost:
    """The cost with so many images, on the line through the two largest sizes measured.

    Where the larger did not cost more, the same: at least. From one size in proportion: at most.
    Nothing says that cost is a straight line.
    """
    low, high = ([0, *sorted(costs)])[-2:]

    def through(name: str) -> float:
        most = float(getattr(costs[high], name))
        least = getattr(costs[low], name) if low else 0.0
        return most + max(0.0, most - least) * (images - high) / (high - low)

    return Cost(through("wall_seconds"), through("cpu_seconds"), round(through("peak_bytes")))


@contextmanager
def failing_as_phase(place: str) -> Iterator[None]:
    """Raise errors of this block, but for want of memory, as a `PhaseError` with the place."""
    try:
        yield
    except PhaseError:
        raise
    except Exception as error:
        if ran_out_of_memory(error):
            raise
        raise PhaseError(f"{place}: {type(error).__name__}: {error}") from error
