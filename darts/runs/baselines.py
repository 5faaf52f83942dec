"""What a run's accuracy stands beside: the majority class and a linear model."""

import warnings
from dataclasses import dataclass

import torch

from darts.data import LabelledImages, Normalisation, split
from darts.data.seeds import derive_seed

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Inverse strengths C of the L2 penalty, the candidates."""


@dataclass(frozen=True)
class Baselines:
    """Test accuracies on the very split of the run.

    Attributes:
        majority_percent: always the commonest training class.
        logistic_percent: multinomial logistic regression on the normalised pixels.
        penalty: its C, chosen on a fifth of the training part held out for that.
        converged: whether L-BFGS met its tolerance within `iterations`.
        iterations: the most that L-BFGS was allowed.
    """

    majority_percent: float
    logistic_percent: float
    penalty: float
    converged: bool
    iterations: int


def measure_baselines(
    train: LabelledImages,
    test: LabelledImages,
    normalisation: Normalisation,
    seed: int,
    iterations: int = 200,
) -> Baselines:
    """Fit both on the training part and look at the test part once."""
    majority = int(torch.bincount(train.labels).argmax())
    fit_part, held_out = split(train, 0.8, derive_seed(seed, "baseline split"))
    scores = {
        penalty: _logistic(fit_part, held_out, normalisation, penalty, iterations)[0]
        for penalty in PENALTIES
    }
    best = max(PENALTIES, key=lambda penalty: scores[penalty])
    accuracy, converged = _logistic(train, test, normalisation, best, iterations)
    return Baselines(
        majority_percent=100 * float((test.labels == majority).float().mean()),
        logistic_percent=accuracy,
        penalty=best,
        converged=converged,
        iterations=iterations,
    )


def _logistic(
    fit_part: LabelledImages,
    judged: LabelledImages,
    normalisation: Normalisation,
    penalty: float,
    iterations: int,
) -> tuple[float, bool]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=penalty, max_iter=iterations)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(_pixels(fit_part, normalisation), fit_part.labels.cpu().numpy())
    converged = not any(issubclass(entry.category, ConvergenceWarning) for entry in caught)
    right = model.predict(_pixels(judged, normalisation)) == judged.labels.cpu().numpy()
    return 100 * float(right.mean()), converged


def _pixels(data: LabelledImages, normalisation: Normalisation):  # type: ignore[no-untyped-def]
    return normalisation(data.images).flatten(1).cpu().numpy()
