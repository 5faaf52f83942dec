"""Files that appear whole or not at all, and what to do where they cannot be written."""

import errno
from pathlib import Path

from bilevel.checkpoint_files import beside_it, write_whole

DEEPEST = 3
"""Folders between a file of a run and the folder that the run is in, that one included."""


def write_atomically(path: Path, *content: bytes) -> Path:
    """Write beside `path`, flush to disk, and rename over it.

    Raises:
        OSError: the file could not be written; the message has the remedy, and an old file at
            `path` is unchanged.
    """
    make_folder(path)
    try:
        write_whole(path, *content)
    except OSError as error:
        raise unwritable(path, error) from error
    return path


def make_folder(path: Path) -> None:
    """Make the folder of a file, if it is not there.

    Raises:
        OSError: it cannot be.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error


def require_writable(path: Path) -> None:
    """Make the folder of a file and try to write there, before work whose result goes to `path`.

    Raises:
        OSError: it cannot be written.
    """
    make_folder(path)
    beside = beside_it(path)
    try:
        beside.touch()
        beside.unlink()
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError, *, begun: bool | None = None) -> OSError:
    """The error with what to do about it.

    Args:
        path: the file that could not be written.
        error: the system's error.
        begun: whether there is a run to go on with; None looks whether the file is in the folder of
            one.
    """
    remedy = {
        errno.ENOSPC: "Free space on this disk",
        errno.EDQUOT: "Free space in your quota",
        errno.EFBIG: "Raise the limit on file sizes (ulimit -f)",
        errno.EROFS: "Mount the disk for writing",
        errno.EACCES: "Give yourself the right to write there",
        errno.EPERM: "Give yourself the right to write there",
    }.get(error.errno or 0, "Find out why")
    after = {
        True: ", then go on with --resume and the run folder (with a sweep, random search or "
        "report by the same command); everything before is kept.",
        False: ", or give --run-dir another place. Nothing was begun.",
        None: ", then give the command again, or give it another place to write to.",
    }[begun if begun is not None else _in_a_run(path) or None]
    return OSError(f"{path} could not be written: {error.strerror or error}. {remedy}{after}")


def _in_a_run(path: Path) -> bool:
    """Whether the file is in the folder of a run, or in a folder of that."""
    return any((folder / "config.json").is_file() for folder in path.parents[:DEEPEST])
