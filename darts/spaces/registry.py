"""Spaces by name: those that come with the project, and those that a user adds."""

from types import MappingProxyType

from darts.nearest import unknown
from darts.spaces.adjacent_edges import S1_ADJACENT, s2_adjacent
from darts.spaces.darts_space import S1, S1_FIXED, S2, s2
from darts.spaces.genotype import Genotype
from darts.spaces.nasbench201 import NASBENCH201
from darts.spaces.operations import OPERATIONS
from darts.spaces.robust_darts import ROBUST_S1, ROBUST_S2, ROBUST_S3, ROBUST_S4
from darts.spaces.space import Space

_SPACES: dict[str, Space] = {
    space.name: space
    for space in (
        *(S1, S1_FIXED, S2, ROBUST_S1, ROBUST_S2, ROBUST_S3, ROBUST_S4, NASBENCH201),
        *(S1_ADJACENT, s2_adjacent()),
    )
}

SPACES = MappingProxyType(_SPACES)
"""By name, those registered included."""

_WITH_CELLS = {"s2": s2, "s2-adjacent": s2_adjacent}
"""Spaces of any number of cells, by the name that they have with 20."""


def register_space(space: Space) -> Space:
    """Add a space under its name, so that the command line takes it; the space itself.

    Raises:
        ValueError: the name is taken, or an operation of the space is not known.
    """
    if space.name in _SPACES:
        raise ValueError(f"there is a space {space.name!r} already. Register under another name.")
    unknown = [name for name in space.operations if name not in OPERATIONS]
    if unknown:
        raise ValueError(
            f"space {space.name!r} has operations {unknown}, which are not known. Register them "
            f"first; known are {', '.join(OPERATIONS)}."
        )
    _SPACES[space.name] = space
    return space


def space_named(text: str) -> Space:
    """The space called `text`; "s2:cells=6" is S2 with six cells.

    Raises:
        ValueError: there is none.
    """
    name, _, cells = text.partition(":cells=")
    if name in _WITH_CELLS and cells.isdecimal() and int(cells) > 0:
        return _WITH_CELLS[name](int(cells))
    if text not in SPACES:
        raise ValueError(unknown("space", text, SPACES, "s2:cells=N"))
    return SPACES[text]


def spaces_of(genotype: Genotype) -> tuple[str, ...]:
    """The names of all spaces that hold a genotype; none where it was found in another.

    A space with cells of their own is asked with as many cells as the genotype has.
    """
    cells = len(genotype.cells)
    spaces = [_WITH_CELLS[name](cells) if name in _WITH_CELLS else SPACES[name] for name in SPACES]
    return tuple(space.name for space in spaces if genotype.fits(space))


def spaces_in_words(genotype: Genotype) -> str:
    """The spaces that hold a genotype, and a word where its fixed edges are not the paper's."""
    names = spaces_of(genotype)
    if not names:
        return "in no space by name"
    adjacent = any(name.partition(":")[0].endswith("-adjacent") for name in names)
    note = ": each node takes the two states before it, not the paper's fixed edges"
    return f"in {', '.join(names)}{note if adjacent else ''}"
