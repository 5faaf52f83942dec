"""The kinds of cell in words."""


def cell_called(kind: str) -> str:
    """In sentences: "normal cell", "reduction cell"; "cell" where there is one kind."""
    return {"reduce": "reduction cell", "cell": "cell"}.get(kind, f"{kind} cell")


def cell_title(kind: str) -> str:
    """Over drawings: "Normal cell", "Reduction cell"; "Cell 3" where every cell is a kind."""
    if kind in ("normal", "reduce"):
        return cell_called(kind).capitalize()
    return kind.replace("_", " ").capitalize()
