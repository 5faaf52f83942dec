"""The words about its images that a run begins with."""

from darts.data import FolderImages, ImageSet
from darts.reports.images import spread
from darts.tasks import MultiLabel, Regression

MOST_NAMES = 12
"""Classes or channels that a line lists one by one."""


def images_in_words(images: ImageSet) -> str:
    """Lines about the images: sizes, classes with their images, augmentation, and notes."""
    train, test = images.train, images.test
    shape = "×".join(map(str, train.shape))
    lines = [
        f"{images.name}: {len(train):,} training and {len(test):,} test images of {shape} "
        f"({images.task.name})",
        f"  {_names(images)}",
        f"  in training {_changes(images)}; normalised by mean "
        f"{_numbers(images.normalisation.mean)}, deviation {_numbers(images.normalisation.sd)}",
        *(f"  {note}" for note in images.notes),
    ]
    return "\n".join(lines)


def _names(images: ImageSet) -> str:
    task, names = images.task, images.class_names
    if isinstance(task, Regression):
        each = zip(names, task.mean, task.sd, strict=True)
        return "numbers: " + ", ".join(f"{n} (mean {m:.4g}, s.d. {s:.4g})" for n, m, s in each)
    what = "labels" if isinstance(task, MultiLabel) else "classes"
    counts = list(zip(names, images.train.counts, images.test.counts, strict=True))
    if len(names) <= MOST_NAMES:
        shown = ", ".join(f"{name} {first} + {second}" for name, first, second in counts)
    else:
        shown = (
            f"{names[0]} to {names[-1]}, each of {spread(list(images.train.counts))} + "
            f"{spread(list(images.test.counts))} images"
        )
    return f"{len(names)} {what}: {shown}"


def _changes(images: ImageSet) -> str:
    mirrored = "mirrored" if images.mirror else "not mirrored"
    if isinstance(images.train, FolderImages):
        return f"{mirrored}, cropped at random, colours changed"
    colours = getattr(images.train, "colour", None) is not None
    shifted = "shifted" if images.crop else "not shifted"
    return f"{mirrored}, {shifted}{', colours changed' if colours else ''}"


def _numbers(values: tuple[float, ...]) -> str:
    shown = " ".join(f"{value:.4g}" for value in values[:MOST_NAMES])
    return shown + (" ..." if len(values) > MOST_NAMES else "")
