"""The evaluation of a saved network alone, on the test set of a data set."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from darts.data import ImageSet
from darts.data.batches import in_order
from darts.networks.blueprint import describe, load_network
from darts.records.run_folder import Record, RunFolder
from darts.tasks import task_of
from darts.training.evaluation import NonFiniteLossError, evaluate, same_draws
from darts.training.fitting_images import require_same, stored_normalisation
from darts.training.saved_network import network_folder

FILE = "evaluation.json"
USUAL_BATCH = 96
PERHAPS_TRAINED_ON = (
    "Neither the training nor the test images are those of the network's run: it may have been "
    "trained on some that are tested here, and be worse on new ones than these numbers say. In a "
    "folder without train/ and test/, images that are added or removed change which are set aside."
)
MEASURES = ("f1_percent", "exact_percent", "mae", "rmse", "r2")


def evaluate_network(
    path: Path,
    images: ImageSet,
    data: Any,
    *,
    batch_size: int | None = None,
    device: str = "cpu",
) -> Record:
    """Evaluate the network of a run, or of an exported folder, and write `evaluation.json` there.

    Images are normalised as those were that the network was trained on. With the run's own data,
    batch size, device and number of threads the loss has the very bits that the run recorded; the
    shares of right answers have so at any batch size that rounds no two logits apart.

    Args:
        path: the folder of the run or the export.
        images: the data set, of which the test set is used.
        data: the data set's config as JSON, for the record.
        batch_size: number of images at a time; by default the training's.
        device: device to compute on.

    Raises:
        FileNotFoundError, ValueError: the folder holds no network, a damaged one, or one for images
            of another shape or scale, or for other classes. Nothing is written.
        NonFiniteLossError: the mean loss is not finite.
    """
    folder = network_folder(path)
    content = describe(folder)
    require_same(content, _class_names(path, content), images, folder)
    network = load_network(folder).to(device)
    size = batch_size or content.get("run", {}).get("config", {}).get("batch_size", USUAL_BATCH)
    normalisation = stored_normalisation(content, folder) or images.normalisation
    task = task_of(content.get("task"))
    with same_draws(device):
        found = evaluate(network, in_order(images.test.to(device), normalisation, size), task=task)
    if not found.loss < float("inf"):
        raise NonFiniteLossError(
            f"The network in {folder} has a mean loss of {found.loss} over {found.images:,} images "
            f"of {images.name}: weights or images are not finite, or lie far from training's."
        )
    record = {
        **found.to_dict(),
        "data": data,
        "batch_size": size,
        "device": device,
        "normalisation": asdict(normalisation),
        "weights_sha256": content["weights_sha256"],
        "recorded_after_training": content.get("test"),
        "other_images_than_the_runs": _others(path, images),
    }
    RunFolder(path).write(FILE, record)
    return record


def in_words(record: Record) -> str:
    """A line about an evaluation, and one more where its images may have been trained on."""
    line = f"{_numbers(record)} of {record['images']:,} test images"
    before = record["recorded_after_training"]
    if before is not None:
        line += f"; after its training {_numbers(before)} of {before['images']:,}"
    return f"{line}\n{PERHAPS_TRAINED_ON}" if record["other_images_than_the_runs"] else line


def _numbers(record: Mapping[str, Any]) -> str:
    """Loss and measures; those of a classification as its literature calls them."""
    if "accuracy_percent" in record:
        also = f", top-5 {record['top5_percent']:.2f} %" if "top5_percent" in record else ""
        return f"loss {record['loss']:.4f}, top-1 {record['accuracy_percent']:.2f} %{also}"
    found = {name: record[name] for name in MEASURES if name in record}
    words = [
        f"{name.removesuffix('_percent')} {value:.4g}{' %' if name.endswith('_percent') else ''}"
        for name, value in found.items()
    ]
    return f"loss {record['loss']:.4f}, {', '.join(words)}"


def _others(path: Path, images: ImageSet) -> bool | None:
    """Whether both parts of a set are known to be others than the run's; None without a record.

    A share that is set aside for testing is another one as soon as images are added or removed,
    and then holds some that were trained on.
    """
    run = RunFolder(path)
    if not run.has("data.json"):
        return None
    known = run.read("data.json")
    return all(
        known.get(f"{name}_digest") not in (None, part.digest())
        for name, part in (("train", images.train), ("test", images.test))
    )


def _class_names(path: Path, content: Mapping[str, Any]) -> list[str] | None:
    """The names of the network's classes, if they are known."""
    run = RunFolder(path)
    names = run.read("data.json")["class_names"] if run.has("data.json") else None
    return names or content.get("class_names")
