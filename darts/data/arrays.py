"""Images and labels that Python passes: arrays, tensors, or a `torch.utils.data.Dataset`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from darts.data.colour import ColourJitter
from darts.data.image_file import WHOLE, on_white
from darts.data.images import ImageSet, LabelledImages, Normalisation
from darts.data.splits import split
from darts.tasks import CLASSIFICATION, TASKS, MultiLabel, Regression, Task, TaskName
from darts.tasks.regression import as_float32

PALETTES = ("P", "PA")
"""Modes of PIL pictures whose numbers are places in a table of colours, and no brightness."""


def image_set(
    data: Any,
    labels: Any = None,
    *,
    test: Any = None,
    task: TaskName = "classification",
    class_names: Sequence[str] | None = None,
    mirror: bool = False,
    crop: bool = True,
    colour: bool = False,
    normalisation: Normalisation | None = None,
    test_share: float = 0.2,
    split_seed: int = 0,
    name: str = "arrays",
) -> ImageSet:
    """A data set of arrays, or of a `torch.utils.data.Dataset`, which is read once, whole.

    Args:
        data: images [n c h w], or grey ones [n h w], a NumPy array or a tensor. Whole bytes
            (uint8) stay bytes; all other numbers become float32 and keep their values. Signals of
            length l are images of one row, [n c 1 l]. Or a dataset of (image, label) pairs with a
            length, whose images are arrays [c h w] or [h w], or PIL pictures; then without
            `labels`.
        labels: of a classification one each, [n], whole numbers or text; of a regression numbers,
            [n] or [n k]; of multi-label 0 and 1, [n k].
        test: the test set, (images, labels) or a dataset; None sets `test_share` of the images
            aside, by class in a classification, the same ones for the same `split_seed`.
        task: "classification", "regression" or "multi-label".
        class_names: one a class, label or number; with them classes are numbered from 0. None
            takes a class's own label as its name.
        mirror: whether training mirrors images at random: only if that keeps their labels.
        crop: whether training shifts images at random, by the padding of a config.
        colour: whether training changes their colours, of bytes in three channels.
        normalisation: means and deviations; None measures them on the training images.
        test_share: share of the images that is set aside for testing.
        split_seed: seed of their draw.
        name: the set's name in records.

    Raises:
        ValueError: shapes, kinds or labels do not fit; the message says what was found.
    """
    if task not in TASKS:
        raise ValueError(f"task={task!r}: there are {', '.join(TASKS)}.")
    pixels, raw = _both(data, labels, "data")
    kind, values, names = _first_labels(raw, task, class_names)
    jitter = ColourJitter() if colour else None
    whole = LabelledImages(pixels, values, len(names), kind, jitter)
    if test is None:
        train, held = split(whole, 1 - test_share, split_seed)
    else:
        pair = test if isinstance(test, tuple) else (test, None)
        if len(pair) != 2:
            raise ValueError(f"test is a tuple of {len(pair)}: give (images, labels).")
        test_pixels, test_raw = _both(*pair, "test")
        values = _labels_like(test_raw, kind, names, class_names is not None)
        train, held = whole, LabelledImages(test_pixels, values, len(names), kind, jitter)
    if normalisation is None:
        scale = 255.0 if train.images.dtype == torch.uint8 else 1.0
        normalisation = Normalisation.measure(train.images, scale)
    return ImageSet(name, train, held, names, normalisation, mirror, crop).require_whole()


def _both(data: Any, labels: Any, what: str) -> tuple[Tensor, np.ndarray]:
    """Images as uint8 or float32 [n c h w], and labels as an array."""
    if labels is None:
        data, labels = _read_whole(data, what)
    pixels, raw = _array(data, what), _array(labels, f"labels of {what}")
    if pixels.ndim == 3:
        pixels = pixels[:, None]
    if pixels.ndim != 4 or 0 in pixels.shape:
        raise ValueError(
            f"The images of {what} have shape {list(pixels.shape)}; they must be [n c h w], grey "
            "ones perhaps [n h w], signals [n c 1 l], none of it 0."
        )
    if pixels.shape[3] <= 4 < min(pixels.shape[1:3]):
        raise ValueError(
            f"The images of {what} have shape {list(pixels.shape)}, which looks like [n h w c]; "
            "they must be [n c h w]. Pass x.transpose(0, 3, 1, 2), of a tensor x.permute(...)."
        )
    if len(raw) != len(pixels):
        raise ValueError(f"There are {len(pixels)} images of {what} and {len(raw)} labels.")
    return _pixels(pixels, what), raw


def _array(values: Any, what: str) -> np.ndarray:
    if isinstance(values, Tensor):
        values = _numpy(values, what)
    try:
        found = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"The {what} are no array ({error}); all must have one shape.") from error
    if found.ndim == 0:
        raise ValueError(f"The {what} are {type(values).__name__}, and must be an array of many.")
    return found


def _numpy(values: Tensor, what: str) -> np.ndarray:
    """The numbers of a tensor; those of types that NumPy lacks, such as bfloat16, as float32."""
    try:
        plain = values.detach().cpu()
        known = plain.dtype in (torch.float16, torch.float32, torch.float64)
        return (plain if known or not plain.is_floating_point() else plain.float()).numpy()
    except (TypeError, RuntimeError) as error:
        raise ValueError(
            f"The {what} are a tensor of {values.dtype}, {values.layout}, that is no array: "
            f"{error}. Pass a dense one of ordinary numbers."
        ) from error


def _pixels(values: np.ndarray, what: str) -> Tensor:
    if values.dtype == np.uint8:
        return torch.from_numpy(np.array(values, order="C"))
    if values.dtype == bool:
        return torch.from_numpy(values.astype(np.uint8) * 255)
    if values.dtype.kind not in "iuf":
        raise ValueError(f"The images of {what} are {values.dtype}; they must be numbers.")
    if values.dtype.kind in "iu" and int(np.abs(values.astype(np.float64)).max()) > WHOLE:
        raise ValueError(
            f"The images of {what} hold whole numbers beyond {WHOLE:,}, which float32 does not "
            "tell apart. Divide them by one number first."
        )
    return torch.from_numpy(np.array(values, dtype=np.float32, order="C"))


def _read_whole(data: Any, what: str) -> tuple[np.ndarray, list[Any]]:
    """All pairs of a dataset."""
    if isinstance(data, DataLoader):
        raise ValueError(f"{what} is a DataLoader; pass its dataset: batches are made here.")
    if isinstance(data, IterableDataset) or not (
        hasattr(data, "__getitem__") and hasattr(data, "__len__")
    ):
        raise ValueError(
            f"{what} is {type(data).__name__}: give images and labels, or a dataset with a length "
            "whose items are (image, label)."
        )
    if isinstance(data, (np.ndarray, Tensor)):
        raise ValueError(f"{what} has images and no labels. Pass them too.")
    items = [data[index] for index in range(len(data))]
    if not items or any(not isinstance(item, (tuple, list)) or len(item) != 2 for item in items):
        raise ValueError(f"{what} has {len(items)} items; it needs some, each (image, label).")
    images = [_one(image, what) for image, _ in items]
    shapes = sorted({image.shape for image in images})
    if len(shapes) > 1:
        raise ValueError(
            f"The images of {what} have {len(shapes)} shapes, {shapes[0]} and {shapes[1]} among "
            "them. Scale them to one, for instance by a transform of the dataset."
        )
    if not np.array_equal(_one(data[0][0], what), images[0]):
        raise ValueError(
            f"The first image of {what} differs between two looks: the dataset changes images at "
            "random. Pass it without that; mirror, crop and colour do it here, by the run's seed."
        )
    named = f"labels of {what}"
    labels = [_numpy(x, named) if isinstance(x, Tensor) else x for _, x in items]
    return np.stack(images), labels


def _one(image: Any, what: str) -> np.ndarray:
    """[c h w]; of a PIL picture's [h w c] too, whose palette, if it has one, gives its colours."""
    if isinstance(image, Tensor):
        values = _numpy(image, f"images of {what}")
    else:
        if getattr(image, "mode", None) in PALETTES:
            image = on_white(image).convert("RGB")
        values = np.asarray(image)
        if values.ndim == 3 and not isinstance(image, np.ndarray):
            values = values.transpose(2, 0, 1)
    return values[None] if values.ndim == 2 else values


def _first_labels(
    raw: np.ndarray, task: TaskName, class_names: Sequence[str] | None
) -> tuple[Task, Tensor, tuple[str, ...]]:
    """The task, labels as it wants them, and names."""
    given = None if class_names is None else tuple(map(str, class_names))
    if task != "classification":
        columns = raw[:, None] if raw.ndim == 1 else raw
        names = given or tuple(f"{task}-{k}" for k in range(columns.shape[-1]))
        numbers = _numbers(columns)
        if task == "regression":
            values = as_float32(numbers, names)
            return Regression.measured(values, names), values, names
        return MultiLabel(), numbers.float(), names
    if given is None:
        given = tuple(map(str, _kinds_of(raw)))
    return CLASSIFICATION, _labels_like(raw, CLASSIFICATION, given, class_names is not None), given


def _kinds_of(raw: np.ndarray) -> np.ndarray:
    if raw.ndim != 1 or raw.dtype.kind not in "iubUSO":
        raise ValueError(
            f"Labels of a classification are whole numbers or text, one an image; found "
            f"{raw.dtype} of shape {list(raw.shape)}. For numbers take task='regression', for "
            "several labels an image task='multi-label'."
        )
    try:
        return np.unique(raw)
    except TypeError as error:
        kinds = sorted({type(label).__name__ for label in raw})
        raise ValueError(
            f"Labels of a classification are whole numbers or text, and these mix "
            f"{' and '.join(kinds)}, which have no order. Make them all of one kind, for instance "
            "text by str()."
        ) from error


def _labels_like(raw: np.ndarray, kind: Task, names: tuple[str, ...], numbered: bool) -> Tensor:
    """Labels by the names of the training set; whole numbers from 0 if `numbered`."""
    if kind != CLASSIFICATION:
        return _numbers(raw[:, None] if raw.ndim == 1 else raw).float()
    kinds = _kinds_of(raw)
    if numbered and raw.dtype.kind in "iub":
        return torch.from_numpy(raw.astype(np.int64))  # its range is looked at with the images
    unknown = [str(label) for label in kinds if str(label) not in names]
    if unknown:
        raise ValueError(
            f"{len(unknown)} labels are none of the training images' {len(names)} classes, "
            f"{unknown[0]!r} first."
        )
    index = {name: number for number, name in enumerate(names)}
    return torch.tensor([index[str(label)] for label in raw], dtype=torch.int64)


def _numbers(columns: np.ndarray) -> Tensor:
    """In float64."""
    if columns.ndim != 2 or columns.dtype.kind not in "iufb":
        raise ValueError(
            f"Labels are numbers of shape [n k]; found {columns.dtype} of shape "
            f"{list(columns.shape)}."
        )
    return torch.from_numpy(columns.astype(np.float64))
