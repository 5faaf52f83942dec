"""The cells of a run on its page: as they were found, and as they were at each epoch."""

from collections.abc import Sequence

from markupsafe import Markup

from darts.records.run_folder import Record, RunFolder
from darts.records.writing import write_atomically
from darts.reports.cell_names import cell_title
from darts.reports.drawing import DrawnEdge, as_file, cell_svg, mixing_edges
from darts.reports.selected import epochs_as_chosen
from darts.spaces import Genotype, spaces_in_words
from darts.spaces.notation import genotype_to_text


def cells_part(config: Record, run: RunFolder) -> Record:
    """The cells as the search left them, and all that the slider needs to draw its epochs."""
    if not run.has("genotype.json"):
        return {"cells": [], "frames": None, "last": 0, "cells_note": "", "genotype": ""}
    genotype = Genotype.from_dict(run.read("genotype.json"))
    epochs = epochs_as_chosen(run)
    drawn = _drawn_epochs(config, epochs)
    last = _reported_epoch(epochs, genotype)
    cells = []
    for cell in genotype.cells:
        edges = drawn[cell.kind][last] if drawn else None
        labels = [edge.look[2] for frame in drawn.get(cell.kind, ()) for edge in frame]
        letters = max(map(len, labels), default=None)
        svg = cell_svg(cell, edges, letters)
        plain = as_file(cell_svg(cell))
        write_atomically(run.path / "figures" / f"{cell.kind}.svg", plain.encode())
        halves = ", which halves the resolution" if cell.kind == "reduce" else ""
        title = f"{cell_title(cell.kind)}{halves}"
        cells.append({"kind": cell.kind, "title": title, "svg": Markup(svg)})
    first = genotype.cells[0]
    reads = "the two cells" if first.first == 2 else "the cell"
    note = (
        f"A cell reads the output of {reads} before it. Each of its nodes, 1 to {first.nodes}, "
        "adds operations on earlier states; nodes with a ring make up the output. "
        + ("The width of a line is its mixing weight; pale lines were not kept. " if drawn else "")
        + f"This genotype is {spaces_in_words(genotype)}."
    )
    return {
        "cells": cells,
        "frames": _frames(drawn) if drawn and len(next(iter(drawn.values()))) > 1 else None,
        "last": last,
        "cells_note": note,
        "genotype": genotype_to_text(genotype),
    }


def _drawn_epochs(config: Record, epochs: Sequence[Record]) -> dict[str, list[list[DrawnEdge]]]:
    """By kind of cell the edges of each epoch; none without a search, or if operations changed."""
    if not epochs or any(record["operations"] != epochs[0]["operations"] for record in epochs):
        return {}
    edges = [tuple(edge) for edge in config["search"]["space"]["edges"]]
    drawn: dict[str, list[list[DrawnEdge]]] = {}
    for record in epochs:
        for cell in Genotype.from_dict(record["genotype"]).cells:
            weights = record["mixing"][cell.kind]
            frame = mixing_edges(cell, edges, record["operations"], weights)
            drawn.setdefault(cell.kind, []).append(frame)
    return drawn


def _frames(drawn: dict[str, list[list[DrawnEdge]]]) -> Record:
    """For each epoch and edge its look, as a number, and its width."""
    looks: dict[tuple[str, str], int] = {}
    epochs = {
        kind: [
            [
                (looks.setdefault((edge.look[0], edge.look[2]), len(looks)), edge.look[1])
                for edge in frame
            ]
            for frame in frames
        ]
        for kind, frames in drawn.items()
    }
    return {"looks": list(looks), "epochs": epochs}


def _reported_epoch(epochs: Sequence[Record], genotype: Genotype) -> int:
    """The epoch whose genotype is the run's; the last one that has it."""
    found = [Genotype.from_dict(record["genotype"]) for record in epochs]
    return max((k for k, other in enumerate(found) if other == genotype), default=len(found) - 1)
