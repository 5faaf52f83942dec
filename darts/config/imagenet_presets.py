"""ImageNet's mobile setting: a genotype is retrained at 600 M multiply-adds or fewer.

250 epochs, the rate from 0.5 linearly down, momentum 0.9 and weight decay 3e-5 are the paper's
(§4.2). Its text has no batch, warm-up, label smoothing, auxiliary head, clip, drop-path or number
of cells. Batches of 1024, five epochs of warm-up, smoothing 0.1, the auxiliary head's 0.4, the clip
at 5, no drop-path and 14 cells are those of PC-DARTS and P-DARTS. Their code (train_imagenet.py)
has batches of 256 at 0.1, without warm-up, as its default.
"""

from dataclasses import replace

from bilevel.estimators import FirstOrder
from darts.config.full import FullConfig
from darts.config.retrain import RetrainConfig
from darts.config.schedule import Linear
from darts.config.search import SearchConfig
from darts.data import ImageFolders
from darts.methods import PartialChannels
from darts.networks.stem_and_head import IMAGENET
from darts.networks.width import MultiplyAddLimit
from darts.spaces import S1

MOBILE = RetrainConfig(
    epochs=250,
    batch_size=1024,
    stem=IMAGENET,
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
# PC-DARTS's way of searching on ImageNet (§4.3: half of the channels, α frozen at first), with few
# channels and cells: some minutes on two cores for the 2,000 + 500 images of mini-ImageNet's sample
_MINI = FullConfig(
    "mini100-tiny",
    ImageFolders(image_size=84),
    search=SearchConfig(
        space=S1,
        estimator=FirstOrder(),
        stem=IMAGENET,
        partial_channels=PartialChannels(share=2),
        epochs=4,
        frozen_epochs=1,
        batch_size=50,
        channels=8,
        cells=3,
        alpha_learning_rate=6e-3,
        learning_rate=0.1,
        learning_rate_end=0.0,
        padding=0,
    ),
    retrain=replace(
        MOBILE,
        epochs=10,
        batch_size=50,
        channels=16,
        cells=5,
        learning_rate=0.1,
        warmup_epochs=1,
        auxiliary_weight=0.0,
    ),
)
IMAGENET_PRESETS: dict[str, FullConfig] = {config.preset: config for config in (*_CONFIGS, _MINI)}
"""Those of ImageNet's mobile setting have no search: `darts retrain --preset imagenet-mobile
--genotype ...`."""
