"""A dry run as a table, its totals, and the command that makes the run."""

from collections.abc import Iterator

from rich.table import Table

from darts.data import ImageSet
from darts.reports.millions import millions
from darts.reports.terminal import Terminal
from darts.training.dry_run import GIB, DryRun, Estimate

COLUMNS = ("times", "batch", "multiply-adds", "peak memory", "seconds", "CPU s", "hours")


def print_dry_run(found: DryRun, images: ImageSet, device: str, command: str) -> None:
    """Print a dry run; where there is no terminal, as wide as it needs to be."""
    console = Terminal(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, 110)
    train, shape = images.train, "×".join(map(str, images.train.shape))
    table = Table(
        title=f"{found.preset}, {images.name}: {len(train):,} + {len(images.test):,} images of "
        f"{train.classes} classes, {shape}, on {device}"
    )
    table.add_column("work")
    for name in COLUMNS:
        table.add_column(name, justify="right")
    for stage in found.networks:
        table.add_section()
        table.add_row(f"[bold]{stage}[/bold]")
        for estimate in found.estimates:
            if estimate.stage == stage:
                table.add_row(*_cells(estimate))
    console.print(table)
    for line in lines(found, command):
        console.print(line, soft_wrap=True, markup=False)


def _cells(estimate: Estimate) -> Iterator[str]:
    mark = "" if estimate.images in estimate.measured else "*"
    yield estimate.work
    yield f"{estimate.times:,}"
    yield str(estimate.images or "")
    yield f"{estimate.multiply_adds / 1e9:,.2f} G"
    once = estimate.once
    if once is None:
        yield from ("?",) * 4
        return
    yield _size(once.peak_bytes) + mark
    yield f"{once.wall_seconds:,.3f}{mark}"
    yield f"{once.cpu_seconds:,.3f}{mark}"
    yield f"{estimate.times * once.wall_seconds / 3600:,.2f}{mark}"


def lines(found: DryRun, command: str) -> Iterator[str]:
    """The lines below the table."""
    for stage, sizes in found.networks.items():
        yield (
            f"{stage}: {millions(sizes['parameters'] / 1e6, 3)} parameters, "
            f"{millions(sizes['multiply_adds'] / 1e6, 1)} multiply-adds an image forwards (no "
            f"auxiliary head); a checkpoint is {sizes['checkpoint_bytes'] / 1e6:.1f} MB, two are "
            "kept."
        )
    for estimate in found.estimates:
        if estimate.images not in estimate.measured:
            yield _on_less(estimate)
    wall, cpu, peak = found.total("wall_seconds"), found.total("cpu_seconds"), found.peak_bytes
    times = f"{found.runs} runs" if found.runs > 1 else "The whole run"
    if wall is None or cpu is None or peak is None:
        yield f"{times}: no estimate of time and memory, for the rows with ? have none."
    else:
        yield (
            f"{times}: {_hours(wall)} by this machine's clock, {_hours(cpu)} of CPU time, without "
            f"checkpoints (at most {found.checkpoint_share:.0%} more), the simple models beside "
            "the result, and the report. "
            f"Memory: {_size(peak)} at most, of which {_size(found.held_bytes)} for libraries and "
            "images."
        )
    yield f"{times}: {found.multiply_adds:.2e} multiply-adds."
    yield f"Nothing was written.\nnext:\n  {command}"


def _on_less(estimate: Estimate) -> str:
    """How an estimate was had that no batch of the run's own size gave."""
    pair = list(estimate.measured.items())[-2:]
    measured = " and ".join(
        f"{images} ({cost.cpu_seconds:,.3f} CPU s, {_size(cost.peak_bytes)})"
        for images, cost in pair
    )
    where = f"{estimate.stage}, {estimate.work}"
    if estimate.once is None:
        return (
            f"? {where}: measured with {measured} of {estimate.images} images. One size gives no "
            "line: allow more memory, or --dry-run-images 4 or more."
        )
    (_, small), (images, large) = pair
    flat = large.cpu_seconds <= small.cpu_seconds or large.peak_bytes <= small.peak_bytes
    most = f" What did not grow may be {estimate.images / images:.1f} times as much."
    return (
        f"* {where}: extrapolated to {estimate.images} images on the line through {measured}. "
        f"Nothing says that it is straight." + (most if flat else "")
    )


def _size(count: float) -> str:
    return f"{count / GIB:,.2f} GiB" if count >= GIB else f"{count / 2**20:,.0f} MiB"


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:,.2f} h" if seconds >= 360 else f"{seconds:,.1f} s"
