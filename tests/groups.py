"""Groups of gloo processes for tests: the same function on every rank, results as files."""

import datetime
import gc
import socket
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

RANKS = 2


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def on_two_processes(work: Callable[..., Any], folder: Path, *arguments: Any) -> list[Any]:
    """What `work(rank, *arguments)` returns on each of two processes: tensors and containers."""
    mp.spawn(_one, (work, free_port(), str(folder), arguments), nprocs=RANKS)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(RANKS)]


def _one(rank: int, work: Callable[..., Any], port: int, folder: str, arguments: tuple) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"tcp://127.0.0.1:{port}",
        rank=rank,
        world_size=RANKS,
        timeout=datetime.timedelta(seconds=60),
    )
    torch.save(work(rank, *arguments), Path(folder) / f"{rank}.pt")
    group = weakref.ref(dist.group.WORLD)
    dist.destroy_process_group()
    gc.collect()  # of errors whose frames hold it
    assert group() is None, "The group outlives its end, and its threads run while Python ends."
