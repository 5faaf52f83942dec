"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """Head and rows, each cell as it prints; a head may be empty."""
    lines = ["|" + "".join(f" {name} |" if name else " |" for name in head)]
    lines.append("|---" * len(head) + "|")
    lines += (f"| {' | '.join(map(str, row))} |" for row in rows)
    return "\n".join(lines)
