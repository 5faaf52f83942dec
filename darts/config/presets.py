"""Named configs: all presets, and those of runs small enough for two CPU cores."""

from dataclasses import replace

from darts.config.full import FullConfig
from darts.config.imagenet_presets import IMAGENET_PRESETS
from darts.config.method_presets import METHOD_PRESETS
from darts.config.paper_presets import CIFAR_ROOT as CIFAR_ROOT
from darts.config.paper_presets import PAPER_PRESETS
from darts.config.retrain import RetrainConfig
from darts.config.search import SearchConfig
from darts.data import Cifar10, Cifar100, DataSet, Digits, FashionMnist, Mnist, OwnImages

# A search of few steps: α's learning rate makes up for their number (lr × steps is 7.8 in
# 100 epochs of CIFAR-10), and ω's is larger because there is no time for a small one.
_DIGITS = FullConfig(
    preset="digits",
    data=Digits(),
    search=SearchConfig(
        epochs=4,
        batch_size=48,
        channels=4,
        cells=3,
        alpha_learning_rate=0.02,
        learning_rate=0.1,
        padding=1,
    ),
    retrain=RetrainConfig(
        epochs=16,
        batch_size=48,
        channels=12,
        cells=5,
        learning_rate=0.1,
        padding=1,
        cutout=0,
        drop_path=0.0,
        auxiliary_weight=0.0,
    ),
    baselines=1,
)

_TINY = FullConfig(
    preset="cifar10-s1-tiny",
    data=Cifar10(root=CIFAR_ROOT, train_size=2500, test_size=2000),
    search=SearchConfig(
        epochs=2,
        batch_size=32,
        channels=4,
        cells=3,
        alpha_learning_rate=0.02,
        learning_rate=0.1,
    ),
    retrain=RetrainConfig(
        epochs=15,
        batch_size=64,
        channels=12,
        cells=5,
        learning_rate=0.1,
        cutout=0,
        drop_path=0.0,
        auxiliary_weight=0.0,
    ),
)


def _tiny(data: DataSet) -> FullConfig:
    """The same on another set."""
    return replace(_TINY, preset=f"{data.name}-s1-tiny", data=data)


_OTHERS = (
    replace(PAPER_PRESETS["cifar10-s1"], preset="cifar100-s1", data=Cifar100(root=CIFAR_ROOT)),
    _tiny(Cifar100(train_size=2500, test_size=2000)),
    _tiny(Mnist(train_size=2500, test_size=2000)),
    _tiny(FashionMnist(train_size=2500, test_size=2000)),
)


def _check_search(config: SearchConfig) -> SearchConfig:
    """A search of a few steps: it shows that everything runs, and finds nothing."""
    return replace(config, epochs=1, channels=2, cells=3)


def _check_retrain(config: RetrainConfig) -> RetrainConfig:
    return replace(config, epochs=2, channels=4, cells=3)


_DIGITS_CHECK = FullConfig(
    preset="digits-check",
    data=Digits(train_size=400),
    search=_check_search(_DIGITS.search),  # type: ignore[arg-type]
    retrain=_check_retrain(_DIGITS.retrain),  # type: ignore[arg-type]
)

_CIFAR_CHECK = FullConfig(
    preset="cifar10-s1-check",
    data=Cifar10(root=CIFAR_ROOT, train_size=400, test_size=200),
    search=_check_search(_TINY.search),  # type: ignore[arg-type]
    retrain=_check_retrain(_TINY.retrain),  # type: ignore[arg-type]
)

# a few hundred images: small batches, so that an epoch has some steps
_OWN = replace(
    _TINY,
    preset="own",
    data=OwnImages(),
    search=replace(_TINY.search, epochs=10, batch_size=16),  # type: ignore[type-var]
    retrain=replace(_TINY.retrain, epochs=40, batch_size=32),  # type: ignore[type-var]
)

_SMALL = (_DIGITS, _TINY, *_OTHERS, _DIGITS_CHECK, _CIFAR_CHECK, _OWN)
PRESETS: dict[str, FullConfig] = (
    {config.preset: config for config in _SMALL} | PAPER_PRESETS | METHOD_PRESETS | IMAGENET_PRESETS
)
"""`digits` is what a run without arguments does."""
