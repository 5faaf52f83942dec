"""ImageNet's mobile setting: a genotype is retrained at 600 M multiply-adds or fewer.

250 epochs, the rate from 0.5 linearly down, momentum 0.9 and weight decay 3e-5 are the paper's
(§4.2). Its text has no batch, warm-up, label smoothing, auxiliary head, clip, drop-path or number
of cells. Batches of 1024, five epochs of warm-up, smoothing 0.1, the auxiliary head's 0.4, the clip
at 5, no drop-path and 14 cells are those of PC-DARTS and P-DARTS. Their code (train_imagenet.py)
has batches of 256 at 0.1, without warm-up, as its default.
"""

from dataclasses import replace

from darts.config.full import FullConfig
from darts.config.retrain import RetrainConfig
from darts.config.schedule import Linear
from darts.data import ImageFolders
from darts.networks.frames import IMAGENET
from darts.networks.width import MultiplyAddLimit

MOBILE = RetrainConfig(
    epochs=250,
    batch_size=1024,
    frame=IMAGENET,
    channels=MultiplyAddLimit(600.0),
    cells=14,
    learning_rate=0.5,
    learning_rate_end=0.0,
    schedule=Linear(),
    warmup_epochs=5,
    weight_decay=3e-5,
    label_smoothing=0.1,
    padding=0,
    cutout=0,
    drop_path=0.0,
    auxiliary_weight=0.4,
)
"""For genotypes with two kinds of cell. The paper trains its genotype of S2 (§4.2), which has cells
of its own and needs cells=20."""

_CONFIGS = (
    FullConfig("imagenet-mobile", ImageFolders(), search=None, retrain=MOBILE),
    # a minute on one core: the whole way, its images of full size, in a network of toy size
    FullConfig(
        "imagenet-check",
        ImageFolders(train_size=50, test_size=30),
        search=None,
        retrain=replace(
            MOBILE,
            epochs=2,
            batch_size=10,
            channels=MultiplyAddLimit(10.0),
            cells=4,
            learning_rate=0.05,
            warmup_epochs=1,
        ),
    ),
)
IMAGENET_PRESETS: dict[str, FullConfig] = {config.preset: config for config in _CONFIGS}
"""They have no search: `darts retrain --preset imagenet-mobile --genotype ...`."""
