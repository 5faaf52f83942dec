"""Spaces by name: those that come with the project, and those that a user adds."""

from types import MappingProxyType

from darts.spaces.darts_space import S1, S1_FIXED, S2, s2
from darts.spaces.nasbench201 import NASBENCH201
from darts.spaces.operations import OPERATIONS
from darts.spaces.robust_darts import ROBUST_S1, ROBUST_S2, ROBUST_S3, ROBUST_S4
from darts.spaces.space import Space

_SPACES: dict[str, Space] = {
    space.name: space
    for space in (S1, S1_FIXED, S2, ROBUST_S1, ROBUST_S2, ROBUST_S3, ROBUST_S4, NASBENCH201)
}

SPACES = MappingProxyType(_SPACES)
"""By name, those registered included."""


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
    if name == "s2" and cells.isdecimal() and int(cells) > 0:
        return s2(int(cells))
    if text not in SPACES:
        raise ValueError(f"No space {text!r}; there are {', '.join(SPACES)}, and s2:cells=N.")
    return SPACES[text]
