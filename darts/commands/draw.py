"""`darts draw`: the cells of a genotype as a picture."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from darts.commands.closing import as_typed, closing
from darts.commands.command import Command, Invocation
from darts.commands.errors import UsageError
from darts.commands.named import genotype_named
from darts.records.writing import write_atomically
from darts.reports.picture import genotype_png, genotype_svg
from darts.spaces import Genotype

FORMATS: Mapping[str, Callable[[Genotype], bytes]] = MappingProxyType(
    {".svg": lambda genotype: genotype_svg(genotype).encode(), ".png": genotype_png}
)
"""How a picture is made, by the ending of its file."""


@dataclass(frozen=True)
class Draw(Command):
    """Draw the cells of a genotype.

    Args:
        genotype: a published name, Genotype(...) or another notation as text, a file of it, a run
            folder, RUN@25 for its 25th epoch, or an exported folder.
        to: file to write, .svg or .png; also -o. One that is there is replaced.
    """

    short: ClassVar[Mapping[str, str]] = MappingProxyType({"-o": "--to"})

    examples = ("darts draw DARTS_V2", "darts draw runs/NAME@25 --to cells.png")
    main = "to"

    genotype: str
    to: Path = Path("genotype.svg")

    def run(self, given: Invocation) -> int:
        if self.to.suffix.lower() not in FORMATS:
            raise UsageError(
                f"-o {self.to}: a picture is written as {' or '.join(FORMATS)}. Give a file with "
                "that ending."
            )
        genotype = genotype_named(self.genotype)
        write_atomically(self.to, FORMATS[self.to.suffix.lower()](genotype))
        name = as_typed(self.genotype)
        print(closing([self.to], ("count", name), ("convert", name, "--to", "darts")))
        return 0
