"""`darts measure`: a latency table of this device, for searches with a target."""

import sys
from dataclasses import dataclass
from pathlib import Path

from darts.commands.closing import closing
from darts.commands.command import Command, Invocation
from darts.commands.errors import UsageError, refusing
from darts.commands.processes import computing_device
from darts.commands.sizes import Sizes, blueprint_of
from darts.methods.random_search import lightest_genotype
from darts.records.environment import describe_environment
from darts.records.run_folder import RunFolder
from darts.records.writing import require_writable
from darts.spaces import space_named
from darts.training.latency import measure_latency


@dataclass(frozen=True)
class Measure(Sizes, Command):
    """Measure how long every operation of a space takes on this device; write a table, JSON.

    Give the sizes of the retraining; then darts full-search --latency-table TABLE --search.target
    limit:most=5 finds cells whose network takes 5 ms or less by this table.

    Args:
        space: space of the operations that are timed; names as in search.
        to: file to write, JSON.
        in_channels: number of channels of the images.
        repeats: number of passes of one image for each operation; the quickest counts.
        device: device to time on: cpu, cuda, cuda:1, ...; auto is a GPU if there is one.
        threads: number of PyTorch's threads on the CPU; 0 is PyTorch's own choice.
    """

    examples = (
        "darts measure --channels 16 --cells 8",
        "darts measure --space s2 --channels 36 --to table.json",
    )
    main = "space channels cells image-size stem to repeats device"

    space: str = "s1"
    to: Path = Path("latency.json")
    in_channels: int = 3
    repeats: int = 30
    device: str = "auto"
    threads: int = 1

    def run(self, given: Invocation) -> int:
        with refusing():
            space = space_named(self.space)
            if self.channels is not None and not isinstance(self.channels, int):
                raise UsageError("measure --channels within: times are of a width. Give a number.")
            if self.repeats < 1:
                raise UsageError(f"--repeats {self.repeats}: ask for 1 pass or more.")
            blueprint, image = blueprint_of(self, lightest_genotype(space), self.in_channels)
        device = computing_device(self.device, self.threads)
        require_writable(self.to)
        measured = measure_latency(
            space, blueprint, image, device=device, repeats=self.repeats, tick=_show
        )
        content = {
            **measured.to_dict(),
            "space": space.name,
            "repeats": self.repeats,
            "environment": describe_environment(device, given.line),
        }
        RunFolder(self.to.parent).write(self.to.name, content)
        print(
            f"{self.to}: {len(measured.table.times)} operations, each in a network "
            f"{measured.scale:.2f} times what it takes alone; all else "
            f"{measured.table.fixed:.3f} ms"
        )
        for network in measured.networks:
            print(
                f"a random genotype's network: {network['measured']:.3f} ms measured, "
                f"{network['predicted']:.3f} by the table"
            )
        if measured.doubt is not None:
            print(
                f"Do not trust this table: {measured.doubt}. Measure again when the machine does "
                f"nothing else, or with more --repeats than {self.repeats}."
            )
        search = ("full-search", "--space", space.name, "--latency-table", self.to)
        most = f"{measured.networks[0]['measured']:.2g}"
        print(closing([self.to], (*search, "--search.target", f"limit:most={most}")))
        return 0


def _show(done: int, every: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done + 1} of {every} operations", end="", file=sys.stderr, flush=True)
        if done + 1 == every:
            print(file=sys.stderr)
