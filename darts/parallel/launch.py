"""The place where a run computes: its device, and the processes that share its batches."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist

from darts.config.compute import PLAIN, Computing
from darts.extras import require_extra
from darts.networks.compilation import require_compiler
from darts.parallel.ranks import ALONE, Ranks


class LostProcessError(ConnectionError):
    """Another process of the run ended, or did not answer in time."""


@dataclass(frozen=True)
class Devices:
    """The device of this process, its place among the others, and how they compute."""

    device: str = "cpu"
    ranks: Ranks = ALONE
    computing: Computing = PLAIN

    def __post_init__(self) -> None:
        assert self.ranks.count == self.computing.processes


CPU = Devices()


@dataclass(frozen=True)
class Placement:
    """The spread of a run's processes.

    Args:
        device: cpu or cuda; of one process also cuda:1, ...
        per_node: number of processes on each machine, one a GPU where there are GPUs.
        nodes: number of machines.
        timeout_seconds: time after which a process that does not answer is taken for dead.

    Raises:
        ValueError: a number is not positive, or one GPU is named for several processes.
    """

    device: str = "cpu"
    per_node: int = 1
    nodes: int = 1
    timeout_seconds: float = 1800.0

    def __post_init__(self) -> None:
        if self.per_node < 1 or self.nodes < 1:
            raise ValueError(f"--devices {self.per_node} --nodes {self.nodes}: give 1 or more.")
        if not 0 < self.timeout_seconds < float("inf"):
            raise ValueError(f"--group-timeout {self.timeout_seconds}: give seconds above 0.")
        if self.processes > 1 and self.device not in ("cpu", "cuda"):
            raise ValueError(
                f"--device {self.device} with {self.processes} processes: each takes a GPU of its "
                "own. Give --device cuda, and choose GPUs by CUDA_VISIBLE_DEVICES."
            )
        gpus = torch.cuda.device_count()
        if self.device == "cuda" and self.per_node > gpus:
            raise ValueError(f"--devices {self.per_node}: this machine has {gpus} GPUs.")

    @property
    def processes(self) -> int:
        return self.per_node * self.nodes


def require_precision(computing: Computing, device: str) -> None:
    """Raise ValueError where the device gains nothing from this precision, or lacks it."""
    if computing.precision == "fp16" and torch.device(device).type == "cpu":
        raise ValueError(
            "--precision fp16 on a CPU: it has no fast float16. Use bf16, or 32, which is faster "
            "where the CPU has no instructions for bf16."
        )


@contextmanager
def launched(placement: Placement, computing: Computing) -> Iterator[Devices]:
    """Join the processes of a run; start them, on one machine, if nobody else did.

    A run of one process needs nothing of this: no group, no launcher. Several are started by
    Lightning Fabric, which runs the command line of this process once more for each, or are found
    as torchrun or SLURM started them. Convolutions in float32 are taken without TF32, whose ten
    bits are too few for curvature.

    Raises:
        ValueError: the extra "fabric" or a compiler is missing, the device has no such precision,
            or torchrun started another number of processes than is asked for.
        LostProcessError: another process ended, while this one waited for it.
    """
    _require_started(placement.processes)
    require_precision(computing, placement.device)
    if computing.compiled:
        require_compiler(placement.device)
    torch.backends.cudnn.allow_tf32 = False
    if placement.processes == 1:
        yield Devices(placement.device, ALONE, computing)
        return
    require_extra("fabric", f"A run on {placement.processes} processes", "lightning_fabric")
    from lightning_fabric import Fabric
    from lightning_fabric.strategies.ddp import DDPStrategy

    gpu = placement.device == "cuda"
    fabric = Fabric(
        accelerator=placement.device,
        devices=placement.per_node,
        num_nodes=placement.nodes,
        strategy=DDPStrategy(
            process_group_backend="nccl" if gpu else "gloo",
            timeout=timedelta(seconds=placement.timeout_seconds),
        ),
    )
    try:
        fabric.launch()
        ranks = Ranks(fabric.global_rank, fabric.world_size, str(fabric.device))
        yield Devices(str(fabric.device), ranks, computing)
        dist.barrier()
    except RuntimeError as error:
        if not is_loss(error):
            raise
        raise LostProcessError(
            f"Process {fabric.global_rank} of {placement.processes} stopped, because another one "
            f"ended or did not answer for {placement.timeout_seconds:g} s "
            f"({next(iter(str(error).splitlines()), type(error).__name__)}). The last checkpoint, "
            "if there is one, is kept: go on with --resume and the run folder."
        ) from error
    dist.destroy_process_group()


def _require_started(processes: int) -> None:
    """Raise ValueError if torchrun started another number of processes."""
    started = int(os.environ.get("WORLD_SIZE", 1)) if "TORCHELASTIC_RUN_ID" in os.environ else None
    if started not in (None, processes):
        raise ValueError(
            f"torchrun started {started} processes, and this run is of {processes}. Give torchrun "
            "--nnodes and --nproc-per-node, and the run --nodes and --devices, the same numbers."
        )


def is_loss(error: RuntimeError) -> bool:
    """Whether an error is torch's for a process that is gone."""
    words = ("closed by peer", "reset by peer", "Timed out", "timed out", "Broken pipe", "gloo")
    return isinstance(error, dist.DistError) or any(word in str(error) for word in words)
