"""The record of a run's images, data.json, and the check that the images are those."""

import json
from dataclasses import asdict
from typing import Any

from darts.config.as_json import differences
from darts.data import ImageSet, SearchData
from darts.records.run_folder import RunFolder


def record_images(run: RunFolder, images: ImageSet, halves: SearchData | None = None) -> None:
    """Write data.json, or hold the images against the one that the run began with.

    Raises:
        ValueError: they are others. A run that went on with them would mix two data sets, and
            images would change sides between the halves of a search.
    """
    found = json.loads(json.dumps(describe_images(images, halves)))
    if not run.has("data.json"):
        run.write("data.json", found)
        return
    _require_same(run, found)


def require_images(run: RunFolder, images: ImageSet) -> None:
    """Hold a data set against the one that a run began with, if it has begun.

    Raises:
        ValueError: they are others.
    """
    if run.has("data.json"):
        _require_same(run, json.loads(json.dumps(describe_images(images))))


def _require_same(run: RunFolder, found: dict[str, Any]) -> None:
    known = run.read("data.json")
    if "search" not in found:
        known.pop("search", None)
    changed = differences(known, {name: found.get(name) for name in known})
    if changed:
        raise ValueError(
            f"The images are not those that {run.path} began with: {'; '.join(changed)}. Restore "
            "them, name their place with --data-root, or begin a new run."
        )


def describe_images(images: ImageSet, halves: SearchData | None = None) -> dict[str, Any]:
    """The data set, and the two parts that a search splits its training set into if it does."""
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
        "train_digest": images.train.digest(),
        "test_digest": images.test.digest(),
    }
    if halves is not None:
        record["search"] = {
            "train_images": len(halves.train),
            "val_images": len(halves.val),
            "train_counts": list(halves.train.counts),
            "val_counts": list(halves.val.counts),
        }
    return record
