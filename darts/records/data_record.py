"""What data.json says of the images of a run: sizes, and the images of each class in every part."""

from dataclasses import asdict
from typing import Any

from darts.data import ImageSet, SearchData


def describe_images(images: ImageSet, halves: SearchData | None = None) -> dict[str, Any]:
    """The data set, and the two parts that a search splits its training part into if it does."""
    record = {
        "name": images.name,
        "class_names": list(images.class_names),
        "shape": list(images.train.shape),
        "train_images": len(images.train),
        "test_images": len(images.test),
        "train_counts": list(images.train.counts),
        "test_counts": list(images.test.counts),
        "mirror": images.mirror,
        "normalisation": asdict(images.normalisation),
    }
    if halves is not None:
        record["search"] = {
            "train_images": len(halves.train),
            "val_images": len(halves.val),
            "train_counts": list(halves.train.counts),
            "val_counts": list(halves.val.counts),
        }
    return record
