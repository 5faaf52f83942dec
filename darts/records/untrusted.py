"""JSON from a file that anyone may have changed: bounded in size and depth."""

import json
from pathlib import Path
from typing import Any

LARGEST = 4_000_000
"""Bytes; the largest file that runs write is a thousandth of it."""


def read_text(path: Path) -> str:
    """The text in `path`.

    Raises:
        OSError: it cannot be read.
        ValueError: it is larger than `LARGEST`, or not UTF-8.
    """
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"{path} is larger than {LARGEST:,} bytes; it is no file of this program.")
    try:
        return content.decode("utf-8-sig")  # editors of Windows put a mark before the text
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not text in UTF-8 (byte {error.start:,} of {len(content):,} is "
            f"{content[error.start]:#04x}). Restore the file."
        ) from error


def read_json(path: Path) -> Any:
    """The JSON in `path`.

    Raises:
        OSError: it cannot be read.
        ValueError: it is too large, not UTF-8, not JSON, nested beyond the parser's depth, or an
            object in it has one key twice.
    """
    text = read_text(path)

    def each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        for name in found if len(found) < len(pairs) else ():
            values = [value for key, value in pairs if key == name]
            if len(values) > 1:
                twice.append(f"{name} stands {len(values)} times in one object")
        return found

    twice: list[str] = []
    try:
        content = json.loads(text, object_pairs_hook=each_once)
    except RecursionError as error:
        raise ValueError(f"{path} nests too deeply to be read. Restore the file.") from error
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}). Restore the file.") from error
    if twice:
        raise ValueError(f"{path}: {twice[0]}. Restore the file, or leave one of them.")
    return content
