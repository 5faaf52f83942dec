"""A trained network's answers on all test images, and the first images that it gets wrong."""

import base64
import io
from typing import Any

import torch
from torch.nn import functional as F

from darts.data import ImageSet
from darts.data.batches import in_order
from darts.networks.blueprint import load_network
from darts.records.run_folder import RunFolder
from darts.tasks import Classification
from darts.training.evaluation import same_draws

FILE = "retrain/answers.json"
SHOWN, SIDE = 12, 96
"""Wrong images that are kept as pictures, and their side in pixels at most."""


@torch.no_grad()
def record_answers(run: RunFolder, images: ImageSet, batch_size: int, device: str = "cpu") -> None:
    """Write the class of every test image beside the one that the network in `retrain/` names.

    Answers of several networks to the same images give paired differences. It costs one
    evaluation of the test images, and changes nothing of the network. For tasks other than
    classification nothing is written.
    """
    if not isinstance(images.task, Classification):
        return
    network = load_network(run.path / "retrain").to(device)
    answers: list[int] = []
    with same_draws(device):
        for batch, _ in in_order(images.test.to(device), images.normalisation, batch_size):
            answers += network(batch).argmax(dim=1).tolist()
    labels = images.test.labels.tolist()
    wrong = [k for k, (said, true) in enumerate(zip(answers, labels, strict=True)) if said != true]
    pictures = [{"image": k, "png": picture} for k in wrong[:SHOWN] if (picture := _png(images, k))]
    content: dict[str, Any] = {"labels": labels, "answers": answers, "mistakes": pictures}
    run.write(FILE, content)


def _png(images: ImageSet, index: int) -> str | None:
    """One test image as PNG in base64; None if it is neither grey nor RGB."""
    from PIL import Image

    pixels = images.test.pixels(torch.tensor([index]), None).cpu()
    if pixels.shape[1] not in (1, 3) or pixels.dtype != torch.uint8:
        return None
    brightest = images.normalisation.full_scale
    pixels = (pixels.float() * (255 / brightest)).clamp(0, 255).round().byte()
    if max(pixels.shape[2:]) > SIDE:
        scale = SIDE / max(pixels.shape[2:])
        size = [max(1, round(side * scale)) for side in pixels.shape[2:]]
        pixels = F.interpolate(pixels.float(), size, mode="area").round().byte()
    rows = pixels[0].permute(1, 2, 0).numpy()
    file = io.BytesIO()
    Image.fromarray(rows[:, :, 0] if rows.shape[2] == 1 else rows).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
