"""`darts convert`: a genotype in another notation."""

from dataclasses import dataclass
from typing import Literal

from darts.commands.closing import as_typed, aside, closing
from darts.commands.command import Command, Invocation
from darts.commands.errors import refusing
from darts.commands.named import genotype_named
from darts.spaces.notation import genotype_in


@dataclass(frozen=True)
class Convert(Command):
    """Print a genotype in a notation; `darts convert ... > FILE` writes it to a file.

    Args:
        genotype: a published name, Genotype(...) or another notation as text, a file of it, a run
            folder, RUN@25 for its 25th epoch, or an exported folder.
        to: darts, as DARTS's genotypes.py has it; nested, the same node by node; nasbench201,
            |op~0|+|...|; or json, which holds every genotype. What a notation cannot say is
            refused.
    """

    examples = (
        "darts convert DARTS_V2 --to nested",
        "darts convert runs/NAME@25 --to darts > cells.py",
    )
    main = "to"

    genotype: str
    to: Literal["darts", "nested", "nasbench201", "json"] = "json"

    def run(self, given: Invocation) -> int:
        with refusing():
            text = genotype_in(genotype_named(self.genotype), self.to)
        print(text)
        name = as_typed(self.genotype)
        aside(closing((), ("draw", name), ("retrain", "--genotype", name)))
        return 0
