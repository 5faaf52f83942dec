"""Tasks spread over the machines of a cluster, by Ray."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from darts.extras import require_extra
from darts.parallel.tasks import RESTARTS, Outcome, Task

OBJECT_STORE_BYTES = 100 * 2**20
"""Tasks here exchange files, not objects; Ray would reserve a third of the memory."""


@dataclass(frozen=True)
class Cluster:
    """A Ray cluster that tasks run on, and the resources of each task.

    Args:
        address: address of a running Ray cluster; "auto" finds one, "local" starts one of this
            machine.
        cpus_per_trial: number of CPU cores that a task holds.
        gpus_per_trial: number of GPUs that a task holds; half a GPU lets two tasks share one.
        restarts: how often a task is begun again after its process was killed.

    Raises:
        ValueError: a number cannot be.
    """

    address: str
    cpus_per_trial: float = 1
    gpus_per_trial: float = 0
    restarts: int = RESTARTS

    def __post_init__(self) -> None:
        if not self.cpus_per_trial > 0 or self.gpus_per_trial < 0 or self.restarts < 0:
            raise ValueError(
                f"A trial with {self.cpus_per_trial:g} CPUs, {self.gpus_per_trial:g} GPUs and "
                f"{self.restarts} restarts: more than 0 CPUs, and no negative number."
            )


def run_tasks(tasks: Mapping[str, Task], cluster: Cluster) -> Iterator[Outcome]:
    """Run every task, as many at a time as there is room for; outcomes as they come.

    A task whose process dies (killed, out of memory, its machine lost) is begun again up to
    `restarts` times; one that raises has failed, and the others go on. Tasks and what they refer
    to must be importable, and their files visible, on every machine of the cluster.

    Raises:
        ValueError: Ray is not installed or not reachable, or has no room for even one task.
    """
    require_extra("sweep", "A sweep on a cluster", "ray")
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


def _call(task: Task) -> str:
    return task(lambda message: None)  # nobody hears it on another machine


def _connect(ray: Any, cluster: Cluster) -> None:
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    options["address"] = cluster.address
    if cluster.address == "local":
        options |= {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
    try:
        ray.init(**options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"Could not reach the Ray cluster at {cluster.address}: {str(error).splitlines()[0]} "
            "`ray status` tells whether one runs; without --address the sweep uses this machine."
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
