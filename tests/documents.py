"""What a page says, run: its Python blocks in order, beside the output that it shows."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent.parent / "docs"


def blocks(page: str) -> list[tuple[str, str | None]]:
    """Every Python block of `docs/page`, with the text block that follows it at once, if any."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.findall(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", text, re.DOTALL)
    return [(code, output or None) for code, output in found]


def run(page: str) -> dict[str, Any]:
    """Execute the blocks in one namespace and return it.

    Raises:
        AssertionError: a block prints something else than the page shows.
    """
    namespace: dict[str, Any] = {"__name__": page}
    for number, (code, shown) in enumerate(blocks(page), start=1):
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(code, f"{page}, block {number}", "exec"), namespace)
        if shown is not None:
            assert printed.getvalue() == shown, f"{page}, block {number}: {printed.getvalue()!r}"
    return namespace
