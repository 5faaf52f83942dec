"""Macro-architectures: the kinds, places and inputs of the cells that make a network."""

from abc import ABC, abstractmethod
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """One cell of a network.

    Args:
        kind: the kind of cell, whose α and edges it uses.
        reduction: its edges from the inputs halve the resolution.
        block: a residual block stands before it and halves the resolution.

    A place that halves the resolution, either way, doubles the channels.
    """

    kind: str
    reduction: bool = False
    block: bool = False


@dataclass(frozen=True)
class MacroArchitecture(ABC):
    """How the cells of a space are stacked into a network."""

    @property
    @abstractmethod
    def kinds(self) -> tuple[str, ...]:
        """The kinds of cell, each with its own α."""

    @property
    @abstractmethod
    def inputs(self) -> int:
        """Outputs of the cells before that a cell reads: its states 0, 1, ..."""

    @abstractmethod
    def output(self, nodes: int) -> tuple[int, ...]:
        """The states whose concatenation is a cell's output."""

    @abstractmethod
    def places(self, cells: int) -> tuple[Place, ...]:
        """Where the cells of a network of `cells` cells stand.

        Raises:
            ValueError: there is no network of that many cells.
        """

    @property
    @abstractmethod
    def stem_multiplier(self) -> int:
        """Channels of the stem in units of C."""

    @property
    def bare(self) -> bool:
        """Pools have no norm in the supernet, and a norm and activation precede the classifier."""
        return False


def reductions(cells: int) -> tuple[int, ...]:
    """The cells that halve the resolution and double the channels: at 1/3 and 2/3 of the depth."""
    return tuple(sorted({cells // 3, 2 * cells // 3}))


class _Chain(MacroArchitecture):
    """Cells in a row, each reading the two before it; those at 1/3 and 2/3 reduce (DARTS)."""

    @property
    def inputs(self) -> int:
        return 2

    @property
    def stem_multiplier(self) -> int:
        return 3

    def output(self, nodes: int) -> tuple[int, ...]:
        return tuple(range(2, 2 + nodes))


@dataclass(frozen=True)
class TwoKinds(_Chain):
    """One "normal" and one "reduce" cell, repeated (Liu et al. 2019, §2.1 and §3.1)."""

    @property
    def kinds(self) -> tuple[str, ...]:
        return "normal", "reduce"

    def places(self, cells: int) -> tuple[Place, ...]:
        reducing = reductions(cells)
        return tuple(
            Place("reduce", reduction=True) if index in reducing else Place("normal")
            for index in range(cells)
        )


@dataclass(frozen=True)
class OnePerCell(_Chain):
    """Every cell is a kind of its own, "cell_0" to "cell_19": nothing is shared (§4.1.3, S2).

    Args:
        cells: cells of the network; their number belongs to the space.
    """

    cells: int = 20

    def __post_init__(self) -> None:
        if self.cells < 1:
            raise ValueError(f"OnePerCell(cells={self.cells}): a network has at least one cell.")

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(f"cell_{index}" for index in range(self.cells))

    def places(self, cells: int) -> tuple[Place, ...]:
        if cells != self.cells:
            raise ValueError(
                f"a network of {cells} cells asked of a space with {self.cells} cells of their "
                f"own. Set cells={self.cells}, or make the space with {cells}."
            )
        reducing = reductions(cells)
        return tuple(
            Place(kind, reduction=index in reducing) for index, kind in enumerate(self.kinds)
        )


@dataclass(frozen=True)
class Stages(MacroArchitecture):
    """Stages of one kind of cell, a residual block between (Dong & Yang 2020, §2.1).

    A cell reads the one before it, and its last node is its output. Channels are C, 2C, 4C, ...

    Args:
        stages: number of stages; NAS-Bench-201 has three.
    """

    stages: int = 3

    def __post_init__(self) -> None:
        if self.stages < 1:
            raise ValueError(f"Stages(stages={self.stages}): a network has at least one stage.")

    @property
    def kinds(self) -> tuple[str, ...]:
        return ("cell",)

    @property
    def inputs(self) -> int:
        return 1

    @property
    def stem_multiplier(self) -> int:
        return 1

    @property
    def bare(self) -> bool:
        return True

    def output(self, nodes: int) -> tuple[int, ...]:
        return (nodes,)

    def places(self, cells: int) -> tuple[Place, ...]:
        each, rest = divmod(cells, self.stages)
        if rest or not each:
            raise ValueError(
                f"a network of {cells} cells in {self.stages} stages of equal depth cannot be. "
                f"Set cells to a multiple of {self.stages}; NAS-Bench-201 has 15."
            )
        return tuple(Place("cell", block=index > 0 and index % each == 0) for index in range(cells))


def macro_architecture_of(kinds: tuple[str, ...]) -> MacroArchitecture:
    """The macro-architecture whose kinds of cell have these names.

    Raises:
        ValueError: there is none.
    """
    for macro in (TwoKinds(), Stages(), OnePerCell(max(1, len(kinds)))):
        if sorted(kinds) == sorted(macro.kinds):
            return macro
    raise ValueError(
        f"no network is made of cells {kinds}: it takes 'normal' and 'reduce', or 'cell' alone "
        f"(NAS-Bench-201), or 'cell_0' to 'cell_{max(0, len(kinds) - 1)}' (one a cell)."
    )
