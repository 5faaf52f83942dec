"""The options about devices: precision, processes, and their spread over machines."""

import torch

from darts.commands.command import Invocation
from darts.commands.errors import UsageError
from darts.commands.options import Options
from darts.config.compute import PLAIN, Computing
from darts.parallel.launch import Placement
from darts.records.run_folder import ENVIRONMENT, RunFolder


def computing_of(options: Options) -> Computing:
    """The part of the options about devices that a run's bits depend on."""
    return Computing(
        options.precision,
        _per_node(options) * options.nodes,
        options.compile,
        options.checkpoint_activations,
        options.capture,
    )


def placement_of(options: Options, computing: Computing, device: str) -> Placement:
    """The spread of a run's processes; a resumed run has as many as before.

    Raises:
        UsageError: a resumed run is asked for on another number of processes, or one process has
            a time limit for others.
    """
    per_node = _per_node(options)
    if options.resume is not None and per_node * options.nodes == 1:
        per_node = computing.processes
    if per_node * options.nodes != computing.processes:
        raise UsageError(
            f"--resume {options.resume}: the run began on {computing.processes} processes, and "
            f"--devices {options.devices} --nodes {options.nodes} asks for "
            f"{per_node * options.nodes}. On another number its bits would be others. Leave both "
            "out, or spread as many processes over machines."
        )
    placement = Placement(device, per_node, options.nodes, options.group_timeout)
    if computing.processes == 1 and options.group_timeout != Options.group_timeout:
        raise UsageError(
            f"--group-timeout {options.group_timeout:g} with one process, which waits for no "
            "other. Leave it out, or ask for several by --devices or --nodes."
        )
    return placement


def require_one_process(options: Options, command: str) -> None:
    """Raise UsageError if a command that shares no batch is asked to."""
    if options.devices != 1 or options.nodes != 1:
        raise UsageError(
            f"{command} has neither --devices nor --nodes: each of its trainings is one process. "
            "Leave them out; a sweep has several trainings at a time by --workers or --address."
        )
    if options.group_timeout != Options.group_timeout:
        raise UsageError(
            f"{command} has no --group-timeout {options.group_timeout:g}: each of its trainings is "
            "one process, which waits for no other. Leave it out."
        )


def require_plain(options: Options, command: str) -> None:
    """Raise UsageError if a command that knows one way of computing is asked for another."""
    require_one_process(options, command)
    if computing_of(options) != PLAIN:
        raise UsageError(
            f"{command} takes none of --precision, --compile, --checkpoint-activations and "
            "--capture: its short trainings are compared with each other. Leave them out."
        )


def _per_node(options: Options) -> int:
    if options.devices != "auto":
        return options.devices
    gpus = options.device.startswith("cuda") or options.device == "auto"
    return max(1, torch.cuda.device_count()) if gpus else 1


def as_begun(options: Options, given: Invocation, run: RunFolder) -> tuple[str, int]:
    """The device and the number of threads: of a resumed run its own, where no other is typed.

    Its bits depend on both. A GPU is found anew.
    """
    device, threads = options.device, options.threads
    if options.resume is None or not run.has(ENVIRONMENT):
        return device, threads
    begun = run.read(ENVIRONMENT)
    if given.value_of("threads") is None and type(begun.get("torch_threads")) is int:
        threads = begun["torch_threads"]
    if given.value_of("device") is None and begun.get("device") == "cpu":
        device = "cpu"
    return device, threads


def computing_device(name: str, threads: int) -> str:
    """The device of that name, and PyTorch's number of threads set; 0 leaves it.

    Raises:
        UsageError: there is no such device.
    """
    if threads < 0:
        raise UsageError(f"--threads {threads}: ask for 1 or more, or 0 for PyTorch's own choice.")
    if threads:
        torch.set_num_threads(threads)
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name).item()  # "meta" has shapes and no numbers
    except (RuntimeError, AssertionError) as error:
        found = "none of that name that computes"
        if "cuda" in name:
            found = f"{torch.cuda.device_count()} CUDA devices"
        raise UsageError(
            f"--device {name} cannot be used: found {found}. Use --device cpu or auto."
        ) from error
    return name
