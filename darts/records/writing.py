"""Files that appear whole or not at all, and what to do where they cannot be written."""

import errno
from pathlib import Path

from bilevel.checkpoint_files import write_whole


def write_atomically(path: Path, *content: bytes) -> Path:
    """Write beside `path`, flush to disk, and rename over it.

    Raises:
        OSError: the file could not be written; the message has the remedy, and an old file at
            `path` is unchanged.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, *content)
    except OSError as error:
        raise unwritable(path, error) from error
    return path


def unwritable(path: Path, error: OSError, *, begun: bool = True) -> OSError:
    """The error with what to do about it.

    Args:
        path: the file that could not be written.
        error: the system's error.
        begun: whether there is a run to go on with.
    """
    remedy = {
        errno.ENOSPC: "Free space on this disk",
        errno.EDQUOT: "Free space in your quota",
        errno.EFBIG: "Raise the limit on file sizes (ulimit -f)",
        errno.EROFS: "Mount the disk for writing",
        errno.EACCES: "Give yourself the right to write there",
        errno.EPERM: "Give yourself the right to write there",
    }.get(error.errno or 0, "Find out why")
    after = (
        ", then go on with --resume and the run folder; everything before is kept."
        if begun
        else ", or give --run-dir another place. Nothing was begun."
    )
    return OSError(f"{path} could not be written: {error.strerror or error}. {remedy}{after}")
