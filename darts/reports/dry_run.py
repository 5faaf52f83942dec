"""A dry run as a table, its totals, and the command that makes the run."""

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from darts.data import ImageSet
from darts.training.dry_run import DryRun, Estimate

A100_MULTIPLY_ADDS = 9.75e12
"""A second, at most, in float32 without tensor cores: half of NVIDIA's 19.5 TFLOP/s."""

UTILISATION = 0.1
"""Assumed, for want of a GPU to measure on."""

GIB = 2**30


def print_dry_run(
    found: DryRun, images: ImageSet, device: str, command: str, console: Console | None = None
) -> None:
    """Print it, as wide as it needs to be where there is no terminal."""
    console = console or Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, 110)
    table = Table(title=f"{found.preset}, {_images(images)}, on {device}")
    table.add_column("work")
    for name in ("times", "batch", "multiply-adds", "peak memory", "seconds", "CPU s", "hours"):
        table.add_column(name, justify="right")
    stage = ""
    for estimate in found.estimates:
        if estimate.stage != stage:
            stage = estimate.stage
            table.add_section()
            table.add_row(f"[bold]{stage}[/bold]", end_section=False)
        once = estimate.once
        table.add_row(
            estimate.work,
            f"{estimate.times:,}",
            str(estimate.images),
            f"{estimate.multiply_adds / 1e9:,.2f} G",
            _size(once.peak_bytes) + _mark(estimate),
            f"{once.wall_seconds:,.3f}" + _mark(estimate),
            f"{once.cpu_seconds:,.3f}" + _mark(estimate),
            f"{estimate.times * once.wall_seconds / 3600:,.2f}" + _mark(estimate),
        )
    console.print(table)
    for line in lines(found, device, command):
        console.print(line, soft_wrap=True, markup=False)


def lines(found: DryRun, device: str, command: str) -> Iterator[str]:
    """What stands below the table."""
    networks = {estimate.stage: estimate.network for estimate in found.estimates}
    for stage, network in networks.items():
        yield (
            f"{stage}: {network.parameters / 1e6:.3f} M parameters, "
            f"{network.multiply_adds / 1e6:.1f} M multiply-adds an image forwards (no auxiliary "
            f"head); a checkpoint is {network.checkpoint_bytes / 1e6:.1f} MB on disk, two are kept."
        )
    for estimate in found.estimates:
        last = estimate.measured[-1].images
        if last != estimate.images:
            first = estimate.measured[-2].images if len(estimate.measured) > 1 else last
            yield (
                f"* {estimate.stage}, {estimate.work}: batch {last} of {estimate.images} images; "
                f"memory for {estimate.images} extrapolated linearly from {first} and {last}: "
                f"{_size(estimate.once.peak_bytes)}; time likewise."
            )
    times = f"{found.runs} runs" if found.runs > 1 else "The whole run"
    yield (
        f"{times}: {_hours(found.wall_seconds)} by this machine's clock, "
        f"{_hours(found.cpu_seconds)} of CPU time, at most, without checkpoints and the linear "
        "baseline. "
        f"Memory: {_size(found.peak_bytes)} at most, of which {_size(found.held_bytes)} for "
        "libraries and images."
    )
    gpu_hours = found.multiply_adds / (A100_MULTIPLY_ADDS * UTILISATION) / 3600
    yield (
        f"{found.multiply_adds:.2e} multiply-adds: {gpu_hours:,.2f} hours of an A100, if it does "
        f"{UTILISATION:.0%} of its {A100_MULTIPLY_ADDS:.2e} a second in float32, which is assumed "
        "and not measured."
    )
    yield f"Nothing was written. The run itself: {command}"


def _images(images: ImageSet) -> str:
    train, test = len(images.train), len(images.test)
    return (
        f"{images.name}: {train:,} + {test:,} images of {images.train.classes} classes, "
        f"{'×'.join(map(str, images.train.shape))}"
    )


def _mark(estimate: Estimate) -> str:
    return "" if estimate.measured[-1].images == estimate.images else "*"


def _size(count: float) -> str:
    return f"{count / GIB:,.2f} GiB" if count >= GIB else f"{count / 2**20:,.0f} MiB"


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:,.2f} h" if seconds >= 360 else f"{seconds:,.1f} s"
