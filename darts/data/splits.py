"""Stratified subsets and splits: every class keeps its share, and every part has every class."""

import torch
from torch import Tensor

from darts.data.images import AnyImages, Images
from darts.tasks import Classification


def stratified_indices(labels: Tensor, classes: int, size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Split 0 … n−1 into `size` indices and the rest, each class in proportion (within one image).

    Seats go to the classes by largest remainder, then images are drawn from each class. Both parts
    come back sorted. The draw depends on labels, size and seed alone.

    Raises:
        ValueError: more images asked than there are, a size that leaves a class of a part empty.
    """
    n = len(labels)
    if size > n:
        raise ValueError(
            f"{size} images asked, but there are {n}. Ask for at most {n}, or leave the size out "
            "to use them all."
        )
    if size <= 0:
        raise ValueError(f"A split needs at least one image; {size} asked of {n}.")
    labels = labels.cpu()
    counts = torch.bincount(labels, minlength=classes)
    seats = _seats(counts.tolist(), size)
    for label, (seat, count) in enumerate(zip(seats, counts.tolist(), strict=True)):
        if seat == 0:
            raise ValueError(
                f"Class {label} is missing from a split of {size} of {n} images in {classes} "
                f"classes (it has {count} images in all). Ask for at least "
                f"{_smallest_size(counts.tolist())} images, or drop the class."
                if count
                else f"Class {label} is missing from the data: it has 0 of {n} images in "
                f"{classes} classes. Declare only classes that occur."
            )
    generator = torch.Generator().manual_seed(seed)
    first = torch.zeros(n, dtype=torch.bool)
    for label, seat in enumerate(seats):
        members = torch.nonzero(labels == label).flatten()
        first[members[torch.randperm(len(members), generator=generator)[:seat]]] = True
    return torch.nonzero(first).flatten(), torch.nonzero(~first).flatten()


def subset(data: AnyImages, size: int | None, seed: int) -> AnyImages:
    """A stratified subset; all of the data, in its own order, if size is None."""
    if size is None:
        return data
    chosen, _ = stratified_indices(*_strata(data), size, seed)
    data.task.require_part(data.labels[chosen.to(data.labels.device)])
    return data.take(chosen)


def split(data: AnyImages, first_share: float, seed: int) -> tuple[AnyImages, AnyImages]:
    """Two disjoint stratified parts that together are the data; the first has `first_share` of it.

    Raises:
        ValueError: a share outside (0, 1), an empty part, or a class missing from a part.
    """
    if not 0 < first_share < 1:
        raise ValueError(
            f"split(first_share={first_share}): the share must lie strictly between 0 and 1, "
            "so that neither part is empty."
        )
    size = round(first_share * len(data))
    if not 0 < size < len(data):
        raise ValueError(
            f"split(first_share={first_share}) of {len(data)} images leaves a part empty: "
            f"{size} and {len(data) - size}. Use more images or a share nearer to 0.5."
        )
    strata, classes = _strata(data)
    first, second = stratified_indices(strata, classes, size, seed)
    absent = sorted(set(range(classes)) - set(strata[second].tolist()))
    if absent:
        raise ValueError(
            f"Class {absent[0]} is missing from the second part of a split of {len(data)} images "
            f"into {size} and {len(data) - size} ({len(absent)} of {classes} classes are). "
            "A class needs two images or more; use more images or a share nearer to 0.5."
        )
    for part in (first, second):
        data.task.require_part(data.labels[part.to(data.labels.device)])
    return data.take(first), data.take(second)


def _strata(data: Images) -> tuple[Tensor, int]:
    """The label of each image that parts have in proportion, and how many there are.

    Labels of a task without classes are one stratum: parts are drawn at random.
    """
    if isinstance(data.task, Classification):
        return data.labels, data.classes
    return torch.zeros(len(data), dtype=torch.int64), 1


def _seats(counts: list[int], size: int) -> list[int]:
    """Largest remainder: whole parts of size · count / n, then one more for the largest fractions.

    Integer arithmetic throughout, ties to the lower class.
    """
    n = sum(counts)
    seats = [size * count // n for count in counts]
    by_remainder = sorted(
        range(len(counts)), key=lambda label: (-(size * counts[label] % n), label)
    )
    for label in by_remainder[: size - sum(seats)]:
        seats[label] += 1
    return seats


def _smallest_size(counts: list[int]) -> int:
    """The smallest size from which on the rarest class surely has a seat."""
    n, rarest = sum(counts), min(count for count in counts if count)
    return -(-n // rarest)
