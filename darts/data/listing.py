"""The files of a set, with their labels and the part, training or test, that each belongs to."""

import csv
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from darts.data.image_file import NAMES

TRAIN = ("train", "training")
TEST = ("test", "testing", "val", "valid", "validation")
"""Names of the folder of the test set; the first that is there is taken."""
PATHS = ("path", "file", "filename", "image")
PARTS = ("split", "part", "subset")
"""Columns of a CSV file; all others are labels."""
HIDDEN = frozenset({"thumbs.db", "desktop.ini"})


@dataclass(frozen=True)
class Entry:
    """One image: its file, the text of its label, and its part; a part of None is drawn later."""

    path: Path
    label: tuple[str, ...]
    test: bool | None


@dataclass(frozen=True)
class Listing:
    """The images of a set.

    Attributes:
        entries: the images in a fixed order.
        columns: names of the labels' columns; one, "class", where folders are classes.
        notes: sentences about files that were left out.
    """

    entries: tuple[Entry, ...]
    columns: tuple[str, ...]
    notes: tuple[str, ...]


def listed(root: Path) -> Listing:
    """The images below a folder, or of a CSV file.

    <root>/train/<class>/<image> and test/ (or val/), or <root>/<class>/<image> without parts. A
    CSV file has a header: one column of paths, relative to the file, called path, file, filename
    or image; perhaps one of parts, called split, part or subset, with train, and test or val; all
    others are labels.

    Raises:
        FileNotFoundError: there is no such folder or file.
        ValueError: it has another layout.
    """
    if root.is_file():
        return _from_csv(root)
    if not root.is_dir():
        raise FileNotFoundError(
            f"There is no folder or CSV file {root}. Give --data-root the folder that holds a "
            "folder of images for every class, or train/ and test/ with such folders, or a CSV "
            "file of paths and labels."
        )
    return _from_folders(root)


def _from_folders(root: Path) -> Listing:
    folders = _folders(root)
    train = next((folders[name] for name in TRAIN if name in folders), None)
    parts: list[tuple[Path, bool | None]] = []
    notes: list[str] = []
    if train is not None and _folders(train):
        found = [folders[name] for name in TEST if name in folders]
        if len(found) > 1:
            images = sum(len(files) for _, files, _ in _classes(found[1]))
            notes.append(
                f"{found[1].name}/ ({images:,} images) is left out: {found[0].name}/ is the test "
                "part."
            )
        parts += [(train, False), *((part, True) for part in found[:1])]
        if not found:
            parts[:] = [(train, None)]
        others = sorted(set(folders) - set(TRAIN) - set(TEST))
        if others:
            notes.append(f"{others[0]}/ is left out, beside {train.name}/ ({len(others)} folders).")
    else:
        parts.append((root, None))
    entries: list[Entry] = []
    ignored: Counter[str] = Counter()
    for folder, test in parts:
        classes = list(_classes(folder))
        if not classes:
            images = sum(_is_image(name) for name in os.listdir(folder))
            raise ValueError(
                f"{folder} holds no folder of a class ({images} images lie in it). Put the images "
                "of every class into a folder of its name, or name the class of each in a CSV "
                "file: --data-root FILE.csv, with the columns path and label."
            )
        for name, files, unknown in classes:
            if not files:
                raise ValueError(
                    f"The class {name} has no image in {folder}. Images end in {', '.join(NAMES)}. "
                    "Fill the folder, or remove it."
                )
            entries += [Entry(path, (name,), test) for path in files]
            ignored.update(unknown)
        loose = [name for name in sorted(os.listdir(folder)) if (folder / name).is_file()]
        ignored.update(_kind(name) for name in loose if not _hidden(name))
    if ignored:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(ignored.items()))
        notes.append(f"Files that are no images of a class by place or name are left out: {kinds}.")
    return Listing(tuple(entries), ("class",), tuple(notes))


def _folders(folder: Path) -> dict[str, Path]:
    """By name in small letters."""
    return {
        entry.name.lower(): Path(entry.path)
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name)
        if entry.is_dir() and not _hidden(entry.name)
    }


def _classes(folder: Path) -> Iterator[tuple[str, list[Path], list[str]]]:
    """Each class with its images, those in folders of the class's own too, and what is neither."""
    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    for name in names:
        if _hidden(name):
            continue
        files, unknown = [], []
        for place, inner, here in os.walk(folder / name):
            inner.sort()
            linked = [name for name in inner if Path(place, name).is_symlink()]
            unknown += ["linked to a folder"] * len(linked)  # which may hold this one
            for file in sorted(here):
                if _is_image(file):
                    files.append(Path(place, file))
                elif not _hidden(file):
                    unknown.append(_kind(file))
        yield name, files, unknown


def _hidden(name: str) -> bool:
    return name.startswith((".", "__MACOSX")) or name.lower() in HIDDEN


def _is_image(name: str) -> bool:
    return not _hidden(name) and name.lower().endswith(NAMES)


def _kind(name: str) -> str:
    return Path(name).suffix.lower() or "without ending"


def _from_csv(path: Path) -> Listing:
    rows = _rows(path)
    header = [name.strip() for name in rows[0]]
    small = [name.lower() for name in header]
    where = [index for index, name in enumerate(small) if name in PATHS]
    part = [index for index, name in enumerate(small) if name in PARTS]
    labels = [i for i in range(len(header)) if i not in where and i not in part]
    if len(where) != 1 or len(part) > 1 or not labels or len(set(small)) < len(small):
        raise ValueError(
            f"{path} has the columns {', '.join(header)}. It needs one of {', '.join(PATHS)}, at "
            f"most one of {', '.join(PARTS)}, and labels in others, each name once."
        )
    entries: list[Entry] = []
    seen: dict[Path, int] = {}
    for number, row in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(header):
            raise ValueError(
                f"{path}, line {number} has {len(row)} cells, and the header {len(header)}."
            )
        cells = [cell.strip() for cell in row]
        image = path.parent / cells[where[0]]
        if not cells[where[0]] or not image.is_file():
            raise FileNotFoundError(f"{path}, line {number}: there is no file {image}.")
        if image in seen:
            raise ValueError(
                f"{path}, line {number}: {image} is in line {seen[image]} already. Give each image "
                "once; several labels of one are separated by ; (--task multi-label)."
            )
        seen[image] = number
        test = _is_test(path, number, cells[part[0]]) if part else None
        entries.append(Entry(image, tuple(cells[index] for index in labels), test))
    if not entries:
        raise ValueError(f"{path} has a header and no image.")
    return Listing(tuple(entries), tuple(header[index] for index in labels), ())


def _rows(path: Path) -> Sequence[list[str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path} cannot be read as a CSV file of UTF-8 text ({error}). Give --data-root a "
            "folder, or such a file."
        ) from error
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    rows = list(csv.reader(text.splitlines(), delimiter=separator))
    if len(rows) < 2:
        raise ValueError(f"{path} has {len(rows)} lines; it needs a header and one for each image.")
    return rows


def _is_test(path: Path, number: int, text: str) -> bool:
    if text.lower() in TRAIN:
        return False
    if text.lower() in TEST:
        return True
    raise ValueError(
        f"{path}, line {number}: the part is {text!r}; it must be {TRAIN[0]}, or one of "
        f"{', '.join(TEST)}."
    )
