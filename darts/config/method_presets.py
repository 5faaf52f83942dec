"""Presets of the methods beside the paper's own, each with its paper's settings on CIFAR-10.

What a paper leaves open is DARTS's setting (Liu et al. 2019, §3.1). Retraining is the paper's.
"""

from dataclasses import replace

from bilevel.derivatives import ReverseOverForward
from bilevel.estimators import DartsSecondOrder, FirstOrder, Neumann
from darts.config.full import FullConfig
from darts.config.paper_presets import CIFAR_ROOT
from darts.config.retrain import RetrainConfig
from darts.config.search import SearchConfig
from darts.data import Cifar10
from darts.methods import (
    AdversarialPerturbation,
    AuxiliarySkip,
    BetaDecay,
    CostProduct,
    CostWeight,
    EigenvalueGrowth,
    GumbelSoftmax,
    PartialChannels,
    Progressive,
    RandomPerturbation,
    Removal,
    SampledPath,
    Sigmoid,
    SkipLimit,
    TwoPaths,
    ZeroOne,
)
from darts.spaces import (
    NASBENCH201,
    ROBUST_S1,
    ROBUST_S2,
    ROBUST_S3,
    ROBUST_S4,
    S1,
    Space,
)

_DARTS = SearchConfig(space=S1, estimator=FirstOrder(), epochs=50, batch_size=64)
"""DARTS with first-order gradients: what the others change."""


def _run(name: str, search: SearchConfig, retrain: RetrainConfig | None = None) -> FullConfig:
    return FullConfig(name, Cifar10(root=CIFAR_ROOT), search, retrain or RetrainConfig())


_SPACES: dict[str, Space] = {
    space.name: space for space in (ROBUST_S1, ROBUST_S2, ROBUST_S3, ROBUST_S4)
}

_OTHERS = (
    _run("cifar10-darts-first-order", _DARTS),
    _run(
        "cifar10-darts-second-order",
        replace(_DARTS, estimator=DartsSecondOrder(derivatives=ReverseOverForward())),
    ),
    # iDARTS (Zhang et al. 2021): the Neumann series up to (I − γH)², γ the learning rate of ω, and
    # 50 epochs, as in their code for NAS-Bench-1Shot1
    _run(
        "cifar10-idarts",
        replace(
            _DARTS,
            estimator=Neumann(terms=2, step=0.025, derivatives=ReverseOverForward()),
        ),
    ),
    # SNAS: 150 epochs
    _run("cifar10-snas", replace(_DARTS, mixing=GumbelSoftmax(), epochs=150)),
    # GDAS: 250 epochs
    _run("cifar10-gdas", replace(_DARTS, mixing=SampledPath(), epochs=250)),
    # ProxylessNAS searches another space; here its gates search DARTS's
    _run("cifar10-proxylessnas", replace(_DARTS, mixing=TwoPaths())),
    # and with the expected cost in L_val; the weight, per million multiply-adds, is not theirs
    _run(
        "cifar10-proxylessnas-cost",
        replace(_DARTS, mixing=TwoPaths(), target=CostWeight(weight=0.001)),
    ),
    # FBNet §4.1: 90 epochs, α frozen for 10, τ from 5 by e^-0.045 an epoch (here linearly to the
    # same end); the product of Eq. 2 has its α = 0.2 and β = 0.6. Its space has other blocks
    _run(
        "cifar10-fbnet",
        replace(
            _DARTS,
            mixing=GumbelSoftmax(start=5.0, end=0.087),
            target=CostProduct(),
            epochs=90,
            frozen_epochs=10,
        ),
    ),
    # PC-DARTS §4.2: batches of 256, learning rates 0.1 and 6e-4, α frozen for 15 of 50 epochs
    _run(
        "cifar10-pc-darts",
        replace(
            _DARTS,
            partial_channels=PartialChannels(),
            batch_size=256,
            learning_rate=0.1,
            learning_rate_end=0.0,
            alpha_learning_rate=6e-4,
            frozen_epochs=15,
        ),
    ),
    # P-DARTS §4.2: three stages of 25 epochs, batches of 96, learning rate of α 6e-4
    _run(
        "cifar10-p-darts",
        replace(
            _DARTS,
            progressive=Progressive(),
            epochs=75,
            batch_size=96,
            cells=5,
            learning_rate_end=0.0,
            alpha_learning_rate=6e-4,
        ),
    ),
    _run("cifar10-darts-plus", replace(_DARTS, stop=SkipLimit())),
    _run("cifar10-robust-darts", replace(_DARTS, stop=EigenvalueGrowth())),
    _run("cifar10-sdarts-rs", replace(_DARTS, perturbation=RandomPerturbation())),
    _run("cifar10-sdarts-adv", replace(_DARTS, perturbation=AdversarialPerturbation())),
    _run("cifar10-darts-minus", replace(_DARTS, auxiliary_skip=AuxiliarySkip())),
    # β-DARTS: the epochs of its code in DARTS's space, its weight in NAS-Bench-201
    _run("cifar10-beta-darts", replace(_DARTS, alpha_penalty=BetaDecay())),
    # DARTS-PT: its code's search is DARTS's; 10 epochs of tuning between decisions
    _run("cifar10-darts-pt", replace(_DARTS, selection=Removal())),
    # FairDARTS: the settings of its code, which are not DARTS's
    _run(
        "cifar10-fair-darts",
        replace(
            _DARTS,
            mixing=Sigmoid(),
            alpha_penalty=ZeroOne(),
            batch_size=128,
            learning_rate=0.005,
            alpha_learning_rate=3e-3,
            alpha_betas=(0.9, 0.999),
        ),
    ),
    *(_run(f"cifar10-{name}", replace(_DARTS, space=space)) for name, space in _SPACES.items()),
)

# NAS-Bench-201 (§2.3): 200 epochs from 0.1, batches of 256, no Cutout, no auxiliary head
_BENCH_RETRAIN = RetrainConfig(
    epochs=200,
    batch_size=256,
    channels=16,
    cells=15,
    learning_rate=0.1,
    weight_decay=5e-4,
    cutout=0,
    drop_path=0.0,
    auxiliary_weight=0.0,
)
_BENCH = _run(
    "nasbench201", replace(_DARTS, space=NASBENCH201, channels=16, cells=15), _BENCH_RETRAIN
)
# minutes on one core: one cell a stage, and few images
_BENCH_TINY = FullConfig(
    preset="nasbench201-tiny",
    data=Cifar10(root=CIFAR_ROOT, train_size=2500, test_size=1000),
    search=replace(
        _DARTS,
        space=NASBENCH201,
        epochs=10,
        batch_size=32,
        channels=8,
        cells=3,
        alpha_learning_rate=0.02,
        learning_rate=0.1,
    ),
    retrain=replace(_BENCH_RETRAIN, epochs=2, batch_size=64, channels=4, cells=3),
)

METHOD_PRESETS: dict[str, FullConfig] = {
    config.preset: config for config in (*_OTHERS, _BENCH, _BENCH_TINY)
}
