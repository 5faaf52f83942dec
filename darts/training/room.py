"""The number of trainings that fit a device's memory, by a dry run in a process of its own."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from darts.config.full import FullConfig
from darts.data import ImageSet, images_of_set
from darts.parallel.launch import Devices, Placement, launched
from darts.parallel.workers import Worker, ctrl_c_held_back, ended_in_any_case, telling_failures
from darts.training.dry_run import GIB, SHARE_OF_FREE_MEMORY, Limits, Meter, extrapolated
from darts.training.measuring import memory_of
from darts.training.phases import phases_of


@dataclass(frozen=True)
class Place:
    """The device that trainings share, and the threads of each.

    Attributes:
        device: cpu, cuda, cuda:1, ...
        threads: number of PyTorch's threads in each; 0 is PyTorch's own choice.
    """

    device: str
    threads: int

    @property
    def on_gpu(self) -> bool:
        return torch.device(self.device).type == "cuda"

    @property
    def cores(self) -> int:
        """Number of CPU cores that this process may use."""
        linux = hasattr(os, "sched_getaffinity")
        return len(os.sched_getaffinity(0)) if linux else os.cpu_count() or 1

    @property
    def by_cores(self) -> int | None:
        """Number of trainings with a core for each thread, at least 1; None on a GPU."""
        return None if self.on_gpu else max(1, self.cores // (self.threads or self.cores))

    @property
    def measurable(self) -> bool:
        """Whether memory can be measured: on a GPU, and by Linux."""
        return self.on_gpu or Path("/proc/self/clear_refs").exists()

    @contextmanager
    def computing(self, config: FullConfig) -> Iterator[tuple[ImageSet, Devices]]:
        """The images of a training, and its devices as a run of one process has them."""
        if self.threads:
            torch.set_num_threads(self.threads)
        with launched(Placement(self.device), config.computing) as devices:
            yield images_of_set(config.data), devices


@dataclass(frozen=True)
class Room:
    """The memory of a device, and what one training takes of it.

    Attributes:
        each_bytes: peak memory of a process: on the CPU its resident memory, on a GPU PyTorch's
            allocations and the CUDA context.
        free_bytes: memory that was free before any of them.
    """

    each_bytes: int
    free_bytes: int

    @property
    def fits(self) -> int:
        """The number of processes that nine tenths of the free memory suffice for."""
        return int(SHARE_OF_FREE_MEMORY * self.free_bytes // self.each_bytes)

    @property
    def in_words(self) -> str:
        return (
            f"a trial takes {self.each_bytes / GIB:.2f} GiB at its peak by a dry run, "
            f"{self.free_bytes / GIB:.2f} GiB are free, so {self.fits} fit"
        )


def room_for(configs: Sequence[FullConfig], place: Place, memory_gib: float | None = None) -> Room:
    """The memory of a device and the largest peak of the configs, dry-run in a process of its own.

    Not run on a GPU.

    Args:
        configs: configs of the trainings that are to share the device.
        place: the device and the threads of each.
        memory_gib: memory in GiB that all together may take; None is the free memory.

    Raises:
        ValueError: a dry run failed, or its process died.
        OSError: memory cannot be measured here.
    """
    free = int(memory_of(place.device).free())
    workers: list[Worker] = []
    with ended_in_any_case(workers):
        with ctrl_c_held_back():
            workers.append(Worker(partial(_tell_peak, tuple(configs), place, free, memory_gib)))
        answer = workers[0].answer("The dry run of a trial")
    assert isinstance(answer, int)
    return Room(answer, free if memory_gib is None else int(memory_gib * GIB))


def _tell_peak(
    configs: Sequence[FullConfig],
    place: Place,
    free: int,
    memory_gib: float | None,
    connection: Connection,
) -> None:
    with telling_failures(connection):
        peaks = [_peak_bytes(config, place, memory_gib) for config in configs]
        context = 0
        if place.on_gpu:  # what this process took of the GPU beside PyTorch's memory
            taken = free - int(memory_of(place.device).free())
            context = max(0, taken - torch.cuda.memory_reserved(place.device))
        connection.send(max(peaks) + context)


def _peak_bytes(config: FullConfig, place: Place, memory_gib: float | None) -> int:
    """Of a process that does nothing else."""
    with place.computing(config) as (images, devices):
        meter = Meter(devices.device, Limits(memory_gib))
        peaks = [
            extrapolated(meter.costs(phase.name, work), work.images).peak_bytes
            for phase in phases_of(config, images, None, devices)
            for work in phase.works
        ]
    return meter.held + max(peaks)
