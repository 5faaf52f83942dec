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
        ValueError: it is too large, not UTF-8, not JSON, or nested beyond the parser's depth.
    """
    text = read_text(path)
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError(f"{path} nests too deeply to be read. Restore the file.") from error
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}). Restore the file.") from error
