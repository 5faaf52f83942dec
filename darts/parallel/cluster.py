"""Tasks spread over the processors of a machine or a cluster, by Ray."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from darts.extras import require_extra

OBJECT_STORE_BYTES = 100 * 2**20
"""Tasks here exchange files, not objects; Ray would reserve a third of the memory."""


@dataclass(frozen=True)
class Cluster:
    """Where tasks run, and what each may use.

    Args:
        address: of a running Ray cluster ("auto" finds one); None starts Ray on this machine.
        cpus: that a Ray of this machine may use; None is all.
        cpus_per_trial: that a task holds.
        gpus_per_trial: the same of GPUs; half a GPU lets two tasks share one.
        restarts: how often a task is begun again after its process was killed.

    Raises:
        ValueError: a number cannot be.
    """

    address: str | None = None
    cpus: int | None = None
    cpus_per_trial: float = 1
    gpus_per_trial: float = 0
    restarts: int = 3

    def __post_init__(self) -> None:
        if not self.cpus_per_trial > 0 or self.gpus_per_trial < 0 or self.restarts < 0:
            raise ValueError(
                f"A trial with {self.cpus_per_trial:g} CPUs, {self.gpus_per_trial:g} GPUs and "
                f"{self.restarts} restarts: more than 0 CPUs, and no negative number."
            )
        if self.cpus is not None and (self.address is not None or self.cpus < 1):
            raise ValueError(
                f"cpus={self.cpus} is for a Ray on this machine, 1 or more; a cluster has its own."
            )


@dataclass(frozen=True)
class Outcome:
    """How a task ended: with a line about it, or with an error."""

    name: str
    line: str
    failed: bool


def run_tasks(tasks: Mapping[str, Callable[[], str]], cluster: Cluster) -> Iterator[Outcome]:
    """Run every task, as many at a time as there is room for; outcomes as they come.

    A task whose process dies (killed, out of memory, its machine lost) is begun again up to
    `restarts` times; one that raises has failed, and the others go on. Tasks and what they refer
    to must be importable, and their files visible, on every machine of the cluster.

    Raises:
        ValueError: Ray is not installed or not reachable, or has no room for even one task.
    """
    require_extra("sweep", "A sweep", "ray")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    _connect(ray, cluster)
    try:
        _require_room(ray, cluster)
        remote = ray.remote(
            num_cpus=cluster.cpus_per_trial,
            num_gpus=cluster.gpus_per_trial,
            max_retries=cluster.restarts,
            max_calls=1,  # a fresh process for every task: no thread, seed or memory of another
        )(_call)
        names = {remote.remote(task): name for name, task in tasks.items()}
        waiting = list(names)
        while waiting:
            done, waiting = ray.wait(waiting)
            for reference in done:
                yield _outcome(ray, names[reference], reference)
    finally:
        ray.shutdown()


def _call(task: Callable[[], str]) -> str:
    return task()


def _connect(ray: Any, cluster: Cluster) -> None:
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if cluster.address is None:
        options |= {
            "address": "local",
            "num_cpus": cluster.cpus,
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE_BYTES,
        }
    else:
        options["address"] = cluster.address
    try:
        ray.init(**options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        where = f"the Ray cluster at {cluster.address}" if cluster.address else "a Ray here"
        raise ValueError(
            f"Could not reach {where}: {str(error).splitlines()[0]} `ray status` tells whether "
            "one runs; without --address the sweep uses this machine."
        ) from error


def _require_room(ray: Any, cluster: Cluster) -> None:
    """Ray would wait for ever for a machine that is large enough."""
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    largest = {kind: max(m.get(kind, 0) for m in machines) for kind in ("CPU", "GPU")}
    if any(
        machine.get("CPU", 0) >= cluster.cpus_per_trial
        and machine.get("GPU", 0) >= cluster.gpus_per_trial
        for machine in machines
    ):
        return
    raise ValueError(
        f"No machine has {cluster.cpus_per_trial:g} CPUs and {cluster.gpus_per_trial:g} GPUs for a "
        f"trial: of {len(machines)} machines the largest have {largest['CPU']:g} CPUs and "
        f"{largest['GPU']:g} GPUs. Lower --cpus-per-trial or --gpus-per-trial."
    )


def _outcome(ray: Any, name: str, reference: Any) -> Outcome:
    try:
        return Outcome(name, ray.get(reference), failed=False)
    except ray.exceptions.RayTaskError as error:
        cause = error.cause if isinstance(error.cause, Exception) else error
        return Outcome(name, f"{type(cause).__name__}: {cause}", failed=True)
    except ray.exceptions.RayError as error:
        return Outcome(name, f"its process died: {type(error).__name__}", failed=True)
