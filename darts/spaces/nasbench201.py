"""NAS-Bench-201 (Dong & Yang 2020): one cell of six edges, five operations, 15,625 genotypes."""

from darts.spaces.genotype import CellGenotype, Genotype
from darts.spaces.macro_architecture import Stages
from darts.spaces.space import NONE, Space

NASBENCH201 = Space(
    "nasbench201",
    (NONE, "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"),
    nodes=3,
    edges=tuple((source, target) for target in (1, 2, 3) for source in range(target)),
    keep_edges=None,
    macro_architecture=Stages(3),
    keeps_none=True,
)
"""Networks have C = 16 and 15 cells: three stages of five. Operations are in the table's order."""


def to_string(genotype: Genotype) -> str:
    """The benchmark's own notation, e.g. "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|...|".

    Raises:
        ValueError: it is no genotype of NAS-Bench-201.
    """
    genotype.require(NASBENCH201)
    cell = genotype["cell"]
    nodes = (sorted(cell.inputs(node), key=lambda edge: edge[1]) for node in range(cell.nodes))
    return "+".join(
        f"|{'|'.join(f'{operation}~{source}' for operation, source in node)}|" for node in nodes
    )


def from_string(text: str) -> Genotype:
    """The inverse of `to_string`.

    Raises:
        ValueError: it is malformed, or no genotype of NAS-Bench-201.
    """
    nodes = []
    for part in text.strip().split("+"):
        names = part.strip("|").split("|")
        edges = [name.rpartition("~") for name in names]
        if part != f"|{'|'.join(names)}|" or not all(source.isdecimal() for *_, source in edges):
            raise ValueError(
                "a genotype of NAS-Bench-201 reads |op~0|+|op~0|op~1|+|op~0|op~1|op~2|; found "
                f"{text.strip()[:80]!r}, of which {part[:40]!r} is not of the form |op~state|...|."
            )
        nodes.append([(operation, int(source)) for operation, _, source in edges])
    cell = CellGenotype(
        "cell",
        tuple(edge for node in nodes for edge in node),
        (len(nodes),),
        tuple(len(node) for node in nodes),
        first=1,
    )
    genotype = Genotype((cell,))
    genotype.require(NASBENCH201)
    return genotype


def digits(genotype: Genotype) -> str:
    """One digit an edge, the operation's place: how accuracy tables name a cell ("333132")."""
    genotype.require(NASBENCH201)
    chosen = genotype["cell"].by_ends
    return "".join(str(NASBENCH201.operations.index(chosen[edge])) for edge in NASBENCH201.edges)
