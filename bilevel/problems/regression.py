"""Linear models whose every feature has its own L2 penalty: ridge and logistic regression."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from bilevel.problem import BilevelProblem
from bilevel.problems.digits import CLASSES, PIXELS, digits
from bilevel.problems.ready import ReadyProblem


def ridge_regression(
    *, train: int = 300, seed: int = 0, dtype: torch.dtype = torch.float64
) -> ReadyProblem:
    """Ridge on scikit-learn's diabetes data (442 patients, 10 features), one penalty a feature.

    F = ½ mean (Xω − y)² + ½ Σⱼ exp(αⱼ) ωⱼ², G the validation error alike; X and y have mean 0 and
    standard deviation 1. ω*(α) is the ridge solution, where the point is.
    """
    from sklearn.datasets import load_diabetes

    data, target = load_diabetes(return_X_y=True)
    x, y = (_standardised(torch.as_tensor(part).to(dtype)) for part in (data, target))
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
    if not 10 < train < len(y):
        raise ValueError(f"ridge_regression(train={train}): take 11 to {len(y) - 1} patients.")
    x_train, y_train = x[order[:train]], y[order[:train]]
    x_val, y_val = x[order[train:]], y[order[train:]]

    def inner(w: Tensor, a: Tensor) -> Tensor:
        return 0.5 * ((x_train @ w - y_train) ** 2).mean() + 0.5 * (torch.exp(a) * w**2).sum()

    def outer(w: Tensor, a: Tensor) -> Tensor:
        return 0.5 * ((x_val @ w - y_val) ** 2).mean()

    alpha = torch.full((x.shape[1],), -3.0, dtype=dtype)
    gram = x_train.T @ x_train / train + torch.diag(torch.exp(alpha))
    omega = torch.linalg.solve(gram, x_train.T @ y_train / train)
    return ReadyProblem(BilevelProblem(inner, outer), omega, alpha)


def logistic_regression(
    *, train: int = 1000, val: int = 797, seed: int = 0, dtype: torch.dtype = torch.float64
) -> ReadyProblem:
    """Ten-class logistic regression on digits: 640 weights, 64 per-feature log penalties.

    F = mean cross-entropy(Xω) + ½ Σⱼ exp(αⱼ) ‖ωⱼ‖², αⱼ ~ N(−4, ½²); G the mean cross-entropy on
    the other images. The point is ω = 0: call `at_inner_solution()`.
    """
    first, second = digits(train, val, seed=seed, dtype=dtype)

    def inner(w: Tensor, a: Tensor) -> Tensor:
        penalty = 0.5 * (torch.exp(a)[:, None] * w**2).sum()
        return F.cross_entropy(first.images @ w, first.labels) + penalty

    def outer(w: Tensor, a: Tensor) -> Tensor:
        return F.cross_entropy(second.images @ w, second.labels)

    generator = torch.Generator().manual_seed(seed)
    alpha = -4 + 0.5 * torch.randn(PIXELS, generator=generator, dtype=torch.float64).to(dtype)
    omega = torch.zeros(PIXELS, CLASSES, dtype=dtype)
    return ReadyProblem(BilevelProblem(inner, outer), omega, alpha)


def _standardised(x: Tensor) -> Tensor:
    return (x - x.mean(dim=0)) / x.std(dim=0)
