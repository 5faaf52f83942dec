"""Whether images are of the kind that a saved network was trained on."""

from collections.abc import Mapping
from math import sqrt
from pathlib import Path
from typing import Any

from darts.data import ImageSet, Normalisation
from darts.data.images import ANOTHER_SCALE
from darts.tasks import task_of


def require_same(
    content: Mapping[str, Any], names: list[str] | None, images: ImageSet, folder: Path
) -> None:
    """Hold a data set against the images that a network was trained on.

    Args:
        content: the content of network.json.
        names: the names of the network's classes, if they are known.
        images: the data set.
        folder: where the network lies, for messages.

    Raises:
        ValueError: its test images have another task, shape or scale, or other classes.
    """
    task = task_of(content.get("task"))
    if type(task) is not type(images.task):
        raise ValueError(
            f"The network in {folder} was trained for {task.name}, and {images.name} is a set for "
            f"{images.task.name}. Give --dataset, and --task, those of its training."
        )
    _require_sizes(content, images, folder)
    theirs = list(images.class_names)
    if names is not None and names != theirs:
        here, there = next(pair for pair in zip(names, theirs, strict=True) if pair[0] != pair[1])
        raise ValueError(
            f"The network in {folder} was trained for other classes than those of {images.name}: "
            f"its first other one is {here!r}, here {there!r}. Give --dataset the one that it was "
            "trained on."
        )
    _require_one_scale(stored_normalisation(content, folder), images, folder)


def stored_normalisation(content: Mapping[str, Any], folder: Path) -> Normalisation | None:
    """The normalisation of a network's training images, if network.json has one.

    Raises:
        ValueError: it is damaged.
    """
    stored = content.get("normalisation")
    if stored is None:
        return None
    try:
        return Normalisation(tuple(stored["mean"]), tuple(stored["sd"]), stored["full_scale"])
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"The normalisation that {folder} describes is damaged ({error!r}). Restore the file."
        ) from error


def _require_sizes(content: Mapping[str, Any], images: ImageSet, folder: Path) -> None:
    classes, channels = content["classes"], content["in_channels"]
    theirs = len(images.class_names)
    if (classes, channels) != (theirs, images.test.channels):
        raise ValueError(
            f"The network in {folder} tells {classes} classes apart in images of {channels} "
            f"channels; {images.name} has {theirs} classes and {images.test.channels} "
            "channels. Give --dataset the one that it was trained on."
        )
    if "run" not in content:  # weights of another program: the size that is written is a guess
        return
    ours, size = tuple(content["image_height_width"]), images.test.shape[1:]
    if ours != size:
        raise ValueError(
            f"The network in {folder} was trained on images of {ours[0]}×{ours[1]} pixels, and "
            f"those of {images.name} have {size[0]}×{size[1]}. Give --dataset images of that size"
            f"{f', or --image-size {ours[0]}' if ours[0] == ours[1] else ''}."
        )


def _require_one_scale(ours: Normalisation | None, images: ImageSet, folder: Path) -> None:
    """Raise ValueError if a network's normalisation cannot suit the set's pixels.

    Two sets' normalisations say of what scale their training images are; within a set both parts
    are of one.
    """
    theirs = images.normalisation
    if ours is None or ours == theirs:
        return
    sizes = [_root_mean_square(normalisation) for normalisation in (ours, theirs)]
    if ours.full_scale == theirs.full_scale and max(sizes) <= ANOTHER_SCALE * min(sizes):
        return
    raise ValueError(
        f"The network in {folder} was trained on pixels of another scale than those of "
        f"{images.name}: its own are {_words(ours)}; these, which would be normalised in the same "
        f"way, {_words(theirs)}. Give --dataset images of the type and scale of its training."
    )


def _root_mean_square(normalisation: Normalisation) -> float:
    """Of pixels whose mean and deviation a normalisation has, as they are in files."""
    moments = zip(normalisation.mean, normalisation.sd, strict=True)
    squares = [mean**2 + deviation**2 for mean, deviation in moments]
    return normalisation.full_scale * sqrt(sum(squares) / len(squares))


def _words(normalisation: Normalisation) -> str:
    mean, deviation = (
        ", ".join(f"{number:.4g}" for number in numbers)
        for numbers in (normalisation.mean, normalisation.sd)
    )
    return (
        f"divided by {normalisation.full_scale:g} and then have the mean {mean} and the deviation "
        f"{deviation}"
    )
