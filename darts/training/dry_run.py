"""Every phase of a run once, on real images, and from that what the whole run would take."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from math import ceil, isfinite
from typing import Any

from darts.config.full import FullConfig
from darts.data import ImageSet, RetrainData, SearchData
from darts.parallel.launch import CPU, Devices
from darts.spaces import Genotype
from darts.training.evaluation import ran_out_of_memory
from darts.training.measuring import Cost, cost_of, extrapolated, memory_of, multiply_adds_of
from darts.training.phases import SMALLEST, Network, Phase, SearchPhases, retraining_phases

PROBES = (SMALLEST, 2 * SMALLEST)
"""Images in the batches that come first: two, for a line."""

SHARE_OF_FREE_MEMORY = 0.9
GIB = 2**30


class PhaseError(ValueError):
    """A phase of a dry run failed."""


@dataclass(frozen=True)
class Limits:
    """What a dry run may take.

    Args:
        memory_gib: beyond what the process holds at its beginning, in GiB; None is nine tenths of
            what is free then.
        images: of a batch; None is the run's own batch, as far as the memory allows.

    Raises:
        ValueError: nothing could be done within them.
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
    """What a phase takes.

    Attributes:
        stage, work, times, images: as in `Phase`.
        network: that it is done on.
        multiply_adds: of the work done once, as `multiply_adds_of` counts.
        measured: costs of growing batches; the last is the run's own unless it was too large.
        once: cost with the run's batch: the last measured, or on the line through the last two.
    """

    stage: str
    work: str
    times: int
    images: int
    network: Network
    multiply_adds: int
    measured: tuple[Cost, ...]
    once: Cost


@dataclass(frozen=True)
class DryRun:
    """What a run takes on this machine.

    Attributes:
        preset: it began with.
        runs: how many there are of it, one after another.
        estimates: its phases in order.
        held_bytes: memory of the process before the first: libraries and images.
    """

    preset: str
    runs: int
    estimates: tuple[Estimate, ...]
    held_bytes: int

    def total(self, what: Callable[[Estimate], float]) -> float:
        """Summed over all that the run does."""
        return self.runs * sum(e.times * what(e) for e in self.estimates)

    @property
    def wall_seconds(self) -> float:
        return self.total(lambda estimate: estimate.once.wall_seconds)

    @property
    def cpu_seconds(self) -> float:
        return self.total(lambda estimate: estimate.once.cpu_seconds)

    @property
    def multiply_adds(self) -> int:
        return round(self.total(lambda estimate: estimate.multiply_adds))

    @property
    def peak_bytes(self) -> int:
        """Of the process at its largest, libraries and images included."""
        return self.held_bytes + max(estimate.once.peak_bytes for estimate in self.estimates)

    def to_record(self) -> dict[str, Any]:
        """As JSON, totals included."""
        totals = ("wall_seconds", "cpu_seconds", "multiply_adds", "peak_bytes")
        return asdict(self) | {name: getattr(self, name) for name in totals}


def dry_run(
    config: FullConfig,
    images: ImageSet,
    *,
    devices: Devices = CPU,
    limits: Limits | None = None,
    genotype: Genotype | None = None,
    runs: int = 1,
) -> DryRun:
    """Do every phase of a run on one batch and say what the whole takes. Nothing is written.

    A phase is done by the objects that the run itself uses, at its widths and depths, with its
    batch; where that does not fit the memory, with the largest half, quarter, ... that does, as
    the two small batches that come first predict. Left out are the writing of checkpoints
    (`checkpoint_share` of the time at most), the linear baseline, and reading images from disk
    ahead of the steps.

    Args:
        config: of the run.
        images: its data.
        devices: where to compute.
        limits: on the dry run itself.
        genotype: to retrain, where there is no search. After a search it is what α stands for
            after the few steps taken here: another genotype has other costs.
        runs: that will be made of it.

    Raises:
        PhaseError: a loss or a gradient is not finite, shapes do not fit, or not even two images
            fit the memory.
    """
    with failing_as_phase("building the networks"):
        return _dry_run(config, images, devices, limits or Limits(), genotype, runs)


def _dry_run(
    config: FullConfig,
    images: ImageSet,
    devices: Devices,
    limits: Limits,
    genotype: Genotype | None,
    runs: int,
) -> DryRun:
    meter = Meter(devices.device, limits)
    walks: list[Callable[[], Iterable[Phase]]] = []
    measured: list[tuple[Phase, list[Cost]]] = []
    networks: dict[str, Network] = {}  # as they are after the last phase of a stage

    def measure(phase: Phase) -> None:
        measured.append((phase, meter.measure(phase)))
        networks[phase.stage] = phase.network()

    if config.search is not None:
        halves = SearchData.of(images, config.search.train_share, config.search.seed)
        halves = halves.to(devices.device)
        walks.append(partial(SearchPhases, config.search, halves, devices))
        search = SearchPhases(config.search, halves, devices)
        for phase in search:
            measure(phase)
        genotype = search.genotype()
        del search
    if config.retrain is not None:
        assert genotype is not None
        data = RetrainData.of(images).to(devices.device)
        walks.append(partial(retraining_phases, config.retrain, genotype, data, devices))
        for phase in walks[-1]():
            measure(phase)
    # Counting comes last: what it leaves behind in oneDNN's caches would count as memory.
    counts = [meter.count(phase) for walk in walks for phase in walk()]
    estimates = [
        Estimate(
            phase.stage,
            phase.work,
            phase.times,
            phase.images,
            networks[phase.stage],
            count,
            tuple(costs),
            extrapolated(costs, phase.images),
        )
        for (phase, costs), count in zip(measured, counts, strict=True)
    ]
    return DryRun(config.preset, runs, tuple(estimates), meter.base)


class Meter:
    """Measures phases one after another, all beyond the memory held when it was made."""

    def __init__(self, device: str, limits: Limits) -> None:
        self.device = device
        self.limits = limits
        self.memory = memory_of(device)
        self.base = self.memory.held()
        gib = limits.memory_gib
        self.room = self.memory.free() * SHARE_OF_FREE_MEMORY if gib is None else gib * GIB

    def measure(self, phase: Phase) -> list[Cost]:
        """Do the phase with growing batches; what each took.

        Raises:
            PhaseError: it failed, or two images are too many.
        """
        most = min(phase.images, self.limits.images or phase.images)
        probes = sorted({min(probe, most) for probe in PROBES})
        self._work(phase, probes[0])()  # what is made once, optimisers' states among it
        costs: list[Cost] = []
        for images in probes:
            costs.append(self._cost(phase, images))
            self._require_room(phase, costs[0])
        images = most
        while images > probes[-1]:
            if extrapolated(costs, images).peak_bytes <= self.room:
                try:
                    costs.append(self._cost(phase, images))
                    break
                except (MemoryError, RuntimeError) as error:
                    if not ran_out_of_memory(error):
                        raise
            images = ceil(images / 2)
        return costs

    def count(self, phase: Phase) -> int:
        """Multiply-adds of the phase with the run's batch, from a small one's in proportion."""
        images = min(SMALLEST, phase.images)
        return multiply_adds_of(self._work(phase, images)) * phase.images // images

    def _cost(self, phase: Phase, images: int) -> Cost:
        return cost_of(self._work(phase, images), images, self.memory, self.base, self.device)

    def _work(self, phase: Phase, images: int) -> Callable[[], None]:
        def work() -> None:
            with failing_as_phase(_place(phase, images)):
                numbers = list(phase.once(images))
            if not all(map(isfinite, numbers)):
                raise PhaseError(f"{_place(phase, images)}: not finite: {numbers}")

        return work

    def _require_room(self, phase: Phase, cost: Cost) -> None:
        if cost.peak_bytes > self.room:
            raise PhaseError(
                f"{_place(phase, cost.images)}: they take {cost.peak_bytes / GIB:.2f} GiB of "
                f"memory, and the dry run may take {self.room / GIB:.2f}. Give it more, or the "
                "network fewer channels or cells."
            )


def _place(phase: Phase, images: int) -> str:
    return f"{phase.stage}, {phase.work}, {images} images"


@contextmanager
def failing_as_phase(place: str) -> Iterator[None]:
    """Say of any error but one for want of memory where it was met."""
    try:
        yield
    except PhaseError:
        raise
    except Exception as error:
        if ran_out_of_memory(error):
            raise
        raise PhaseError(f"{place}: {type(error).__name__}: {error}") from error
