"""The record of a run's images, data.json, and the check that the images are those."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

from darts.config.as_json import differences
from darts.data import FolderImages, Images, ImageSet, SearchData
from darts.records.run_folder import RunFolder

UNREADABLE = "unreadable.json"
"""Files that ended a run because they were no images, and their sizes."""
NONE: Mapping[str, int] = MappingProxyType({})


def record_images(run: RunFolder, images: ImageSet, halves: SearchData | None = None) -> None:
    """Write data.json, or hold the images against the one that the run began with.

    Raises:
        ValueError: they are others. A run that went on with them would mix two data sets, and
            images would change sides between the halves of a search.
    """
    if not run.has("data.json"):
        run.write("data.json", describe_images(images, halves))
        return
    _require_same(run, images, halves)


def record_unreadable(run: RunFolder, path: Path) -> None:
    """Note the size of a file that ended the run, so that the right one may take its place."""
    size = path.stat().st_size if path.is_file() else 0
    known = run.read(UNREADABLE) if run.has(UNREADABLE) else {}
    run.write(UNREADABLE, {str(path.resolve()): size, **known})


def require_images(run: RunFolder, images: ImageSet) -> None:
    """Hold a data set against the one that a run began with, if it has begun.

    Raises:
        ValueError: they are others.
    """
    if run.has("data.json"):
        _require_same(run, images, None)


def _require_same(run: RunFolder, images: ImageSet, halves: SearchData | None) -> None:
    known = run.read("data.json")
    found = _as_json(images, halves)
    if "search" not in found:
        known.pop("search", None)
    changed = differences(known, {name: found.get(name) for name in known})
    if changed and run.has(UNREADABLE):
        as_before = _as_json(images, halves, run.read(UNREADABLE))
        if not differences(known, {name: as_before.get(name) for name in known}):
            run.note(f"Files in {run.path / UNREADABLE} were replaced. No step had read them.")
            return
    if changed:
        raise ValueError(
            f"The images are not those that {run.path} began with: {'; '.join(changed)}. Restore "
            "them, name their place with --data-root, or begin a new run."
        )


def _as_json(
    images: ImageSet, halves: SearchData | None, sizes: Mapping[str, int] = NONE
) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(describe_images(images, halves, sizes)))
    return found


def describe_images(
    images: ImageSet, halves: SearchData | None = None, sizes: Mapping[str, int] = NONE
) -> dict[str, Any]:
    """The data set, and the two parts that a search splits its training set into if it does.

    Args:
        images: the set.
        halves: the two parts.
        sizes: sizes by path of files that had others before.
    """

    def digest(part: Images) -> str:
        return part.digest(sizes) if isinstance(part, FolderImages) else part.digest()

    record = {
        "name": images.name,
        "class_names": list(images.class_names),
        "shape": list(images.train.shape),
        "train_images": len(images.train),
        "test_images": len(images.test),
        "train_counts": list(images.train.counts),
        "test_counts": list(images.test.counts),
        "mirror": images.mirror,
        "task": images.task.to_dict(),
        "normalisation": asdict(images.normalisation),
        "train_digest": digest(images.train),
        "test_digest": digest(images.test),
    }
    if halves is not None:
        record["search"] = {
            "train_images": len(halves.train),
            "val_images": len(halves.val),
            "train_counts": list(halves.train.counts),
            "val_counts": list(halves.val.counts),
        }
    return record
