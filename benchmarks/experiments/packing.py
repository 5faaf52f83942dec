"""The images of a setting in one small file, for a machine that has no data folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.experiments.definition import Setting
from darts.config.as_json import differences, to_json
from darts.data import ImageSet, LabelledImages, Normalisation


def pack(setting: Setting, images: ImageSet, path: Path) -> None:
    """Write raw pixels, labels and what is known beside them; nothing is pickled."""
    arrays: dict[str, Any] = {}
    for name, part in (("train", images.train), ("test", images.test)):
        assert isinstance(part, LabelledImages)
        arrays[f"{name}_images"] = part.images.numpy()
        arrays[f"{name}_labels"] = part.labels.numpy()
    facts = {
        "data": to_json(setting.data),
        "name": images.name,
        "class_names": list(images.class_names),
        "normalisation": asdict(images.normalisation),
        "mirror": images.mirror,
        "sha256": _digest(arrays),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.savez_compressed(file, facts=np.array(json.dumps(facts)), **arrays)


def unpack(setting: Setting, path: Path) -> ImageSet:
    """The images that `pack` wrote, bit for bit.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, or holds the images of another setting.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"No packed images {path}. Write them where the data are: "
            "python -m benchmarks.experiments NAME --pack FILE --data-root DIR."
        )
    with np.load(path, allow_pickle=False) as content:
        arrays = {name: content[name] for name in content.files if name != "facts"}
        facts = json.loads(str(content["facts"]))
    found = _digest(arrays)
    if found != facts["sha256"]:
        raise ValueError(
            f"{path} is damaged: the SHA-256 of its images is {found[:12]}…, and it says "
            f"{facts['sha256'][:12]}…. Pack them again."
        )
    unequal = differences({"data": facts["data"]}, {"data": to_json(setting.data)})
    if unequal:
        raise ValueError(
            f"{path} holds the images of another setting ({'; '.join(unequal)}). Pack those of "
            f"{setting.name}."
        )
    return ImageSet(
        name=facts["name"],
        train=_part(arrays, "train", len(facts["class_names"])),
        test=_part(arrays, "test", len(facts["class_names"])),
        class_names=tuple(facts["class_names"]),
        normalisation=Normalisation(
            tuple(facts["normalisation"]["mean"]),
            tuple(facts["normalisation"]["sd"]),
            facts["normalisation"]["full_scale"],
        ),
        mirror=facts["mirror"],
    )


def _part(arrays: Mapping[str, Any], name: str, classes: int) -> LabelledImages:
    images, labels = (torch.from_numpy(arrays[f"{name}_{kind}"]) for kind in ("images", "labels"))
    return LabelledImages(images, labels, classes)


def _digest(arrays: Mapping[str, Any]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()
