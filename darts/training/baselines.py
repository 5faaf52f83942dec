"""Baselines beside a run's accuracy: the majority class and a linear model."""

import math
import warnings
from dataclasses import dataclass

import torch

from darts.data import Images, Normalisation, split
from darts.data.seeds import derive_seed

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Inverse strengths C of the L2 penalty, the candidates."""
ITERATIONS = 200
"""The most that L-BFGS is allowed for a fit."""
MOST_WORK = 2_000_000_000
"""Images × pixels × classes beyond which no linear model is fitted: it would take hours, or more
memory than there is. CIFAR-10 has 1.5 × 10⁹, CIFAR-100 ten times as much."""


@dataclass(frozen=True)
class Baselines:
    """Test accuracies on the very split of the run.

    Attributes:
        majority_percent: always the commonest training class.
        logistic_percent: multinomial logistic regression on the normalised pixels; None if there
            are too many images, pixels and classes to fit one, or too few images of a class to
            hold any out.
        penalty: its C, chosen on a fifth of the training set held out for that; None likewise.
        converged: whether L-BFGS met its tolerance within `iterations`; None likewise.
        iterations: the most that L-BFGS was allowed.
    """

    majority_percent: float
    logistic_percent: float | None
    penalty: float | None
    converged: bool | None
    iterations: int


def measure_baselines(
    train: Images, test: Images, normalisation: Normalisation, seed: int
) -> Baselines:
    """Both from the training set, the linear one if it can be; look at the test set once."""
    majority = int(torch.tensor(train.counts).argmax())
    majority_percent = 100 * test.counts[majority] / len(test)
    if len(train) * math.prod(train.shape) * train.classes > MOST_WORK:
        return Baselines(majority_percent, None, None, None, ITERATIONS)
    try:
        fitted, held_out = split(train, 0.8, derive_seed(seed, "baseline split"))
    except ValueError:  # a class of four images or fewer has none in a fifth
        return Baselines(majority_percent, None, None, None, ITERATIONS)
    scores = {
        penalty: _logistic(fitted, held_out, normalisation, penalty)[0] for penalty in PENALTIES
    }
    best = max(PENALTIES, key=lambda penalty: scores[penalty])
    accuracy, converged = _logistic(train, test, normalisation, best)
    return Baselines(
        majority_percent=majority_percent,
        logistic_percent=accuracy,
        penalty=best,
        converged=converged,
        iterations=ITERATIONS,
    )


def _logistic(
    fitted: Images,
    held_out: Images,
    normalisation: Normalisation,
    penalty: float,
) -> tuple[float, bool]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=penalty, max_iter=ITERATIONS)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(_pixels(fitted, normalisation), fitted.labels.cpu().numpy())
    converged = not any(issubclass(entry.category, ConvergenceWarning) for entry in caught)
    right = model.predict(_pixels(held_out, normalisation)) == held_out.labels.cpu().numpy()
    return 100 * float(right.mean()), converged


def _pixels(data: Images, normalisation: Normalisation):  # type: ignore[no-untyped-def]
    return normalisation(data.pixels(torch.arange(len(data)), None)).flatten(1).cpu().numpy()
