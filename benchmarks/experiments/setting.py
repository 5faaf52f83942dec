"""The settings of the experiments, and the estimators that are compared in them."""

from __future__ import annotations

from benchmarks.experiments.apart import OnOtherBatches, SearchedApart
from benchmarks.experiments.controls import (
    AtNormOf,
    Flipped,
    RandomDirection,
    RandomSign,
    TowardsLessCurvature,
    TowardsZero,
)
from benchmarks.experiments.searched import Searched, SearchSetting
from benchmarks.experiments.second_moment import InSecondMoment, SearchedOnTwoMoments
from bilevel.derivatives import CentralDifference, ReverseOverForward
from bilevel.estimators import (
    Amended,
    ConjugateGradient,
    DartsSecondOrder,
    Estimator,
    FirstOrder,
    Landweber,
    Neumann,
)
from darts.config.search import AMENDED, SearchConfig
from darts.data import Cifar10
from darts.spaces import NASBENCH201

SMALL = SearchSetting(
    name="nasbench201-16px",
    data=Cifar10(train_size=5000, test_size=1000, image_size=16),
    # α's learning rate makes up for the number of steps: 200 epochs of 39 steps at 5e-3 are a sum
    # of 39, as are the paper's 500 epochs of 260 steps at 3e-4 (§4.1.1)
    search=SearchConfig(
        space=NASBENCH201,
        estimator=FirstOrder(),
        epochs=200,
        batch_size=64,
        channels=8,
        cells=3,
        alpha_learning_rate=5e-3,
        padding=2,  # the paper's 4 pixels of 32
        statistics_batches=8,
        evaluation_images=500,
    ),
    words=(
        "NAS-Bench-201 with 8 channels and 3 cells. CIFAR-10 averaged to 16×16: 2,500 images for ω "
        "and 2,500 for α, in batches of 64 (39 steps an epoch), 200 epochs. α moves by Adam with "
        "learning rate 0.005, betas (0.5, 0.999) and weight decay 0.001; ω by SGD, with a learning "
        "rate from 0.025 down along half a cosine."
    ),
)

SCALE = SearchSetting(
    name="nasbench201-32px",
    data=Cifar10(),
    search=SearchConfig(
        space=NASBENCH201,
        estimator=FirstOrder(),
        epochs=50,
        batch_size=64,
        channels=16,
        cells=15,
        evaluation_images=2000,
    ),
    words=(
        "NAS-Bench-201 at its own size, 16 channels and 15 cells. CIFAR-10 at 32×32: 25,000 images "
        "for ω and 25,000 for α, in batches of 64 (390 steps an epoch), 50 epochs. α moves by Adam "
        "with learning rate 0.0003, betas (0.5, 0.999) and weight decay 0.001; ω by SGD, with a "
        "learning rate from 0.025 down along half a cosine."
    ),
)

T9_STEP = 0.1
"""The largest step that `CentralDifference` takes by itself; T9 found it a compromise."""
TERMS = 5
"""Steps of the iterative solvers, beside the ten products that choose the length of a step."""

SECOND_ORDER = DartsSecondOrder(derivatives=ReverseOverForward())

METHODS: dict[str, Estimator] = {
    "first-order": FirstOrder(),
    "amended": AMENDED,
    "second-order": SECOND_ORDER,
    "amended-step-0.01": Amended(eta=0.1, derivatives=CentralDifference(step=0.01)),
    "amended-step-0.1": Amended(eta=0.1, derivatives=CentralDifference(step=T9_STEP)),
    "conjugate-gradient": ConjugateGradient(iterations=TERMS, damping=1.0, tolerance=None),
    "neumann": Neumann(terms=TERMS),
    "landweber": Landweber(terms=TERMS),
    "amended-eta-0.001": Amended(eta=0.001, derivatives=ReverseOverForward()),
    "amended-eta-0.01": Amended(eta=0.01, derivatives=ReverseOverForward()),
    "amended-eta-1": Amended(eta=1.0, derivatives=ReverseOverForward()),
    "amended-flipped": Flipped(AMENDED),
    "random-direction": RandomDirection(AMENDED),
    "toward-zero": TowardsZero(AMENDED),
    "amended-at-second-order-norm": AtNormOf(AMENDED, SECOND_ORDER),
    "random-sign": RandomSign(AMENDED),
    "toward-less-curvature": TowardsLessCurvature(AMENDED),
    "amended-second-moment": InSecondMoment(AMENDED),
    "amended-other-batches": OnOtherBatches(AMENDED),
}
"""Estimators by the names of records. η is 0.1 unless the name says otherwise."""


def planned(setting: SearchSetting, method: str, seed: int) -> Searched:
    estimator = METHODS[method]
    of_its_own: dict[type[Estimator], type[Searched]] = {
        OnOtherBatches: SearchedApart,
        InSecondMoment: SearchedOnTwoMoments,
    }
    run = of_its_own.get(type(estimator), Searched)
    return run(setting, method, seed, estimator)
