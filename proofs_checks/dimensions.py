"""n and m of the super-network that is searched: what §3.3 and A.5 say of their sizes."""

from __future__ import annotations

from functools import cache

import torch

from darts.networks.counting import count_parameters
from darts.networks.supernet import Supernet
from darts.spaces import S1
from proofs_checks.definitions import Formulas
from proofs_checks.evidence import ExactExample, Exhibit
from proofs_checks.ledger import Claim, Verdict

CHANNELS, CELLS = 16, 8  # §3.5 and §4.1.1


@cache
def weights() -> int:
    """n of the standard super-network on CIFAR-10."""
    with torch.device("meta"):
        return count_parameters(Supernet(S1, channels=CHANNELS, cells=CELLS))


def architecture_weights() -> int:
    """m: one α for each operation on each edge of both kinds of cell."""
    return sum(len(choices) for kind in S1.cell_kinds for choices in S1.choices(kind))


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    def too_large_to_invert() -> Exhibit:
        n = weights()
        return Exhibit(
            {"n": n, "bytes of H in float32": 4 * n**2},
            {"8 cells of 16 channels": (CHANNELS, CELLS) == (16, 8)},
            {"n exceeds a million": n > 10**6, "H takes over 10 TB": 4 * n**2 > 10**13},
        )

    def few_eigenvalues() -> Exhibit:
        n, m = weights(), architecture_weights()
        return Exhibit(
            {"n": n, "m, the highest rank of A = BᵀB": m, "different eigenvalues at most": m + 1},
            {"14 edges, 8 operations, 2 kinds of cell": m == 14 * 8 * 2},
            {
                "hundreds": 100 <= m + 1 < 1000,
                "against millions": n > 10**6,
                "so 0 has an eigenspace of n − m dimensions at least": n - m > 0,
            },
        )

    return (
        Claim(
            id="§3.3g",
            where="§3.3",
            statement="H⁻¹ cannot be computed, since a super-network has over a million weights.",
            assumptions="H⁻¹ itself is wanted",
            verdict=Verdict.HOLDS_IF,
            because="The standard super-network has 1.93 million weights, and its H takes 15 TB. "
            "But Eq. 5 needs H⁻¹v alone, which conjugate gradients or MINRES find from Hessian "
            "products (T8c), and T6 says when to stop.",
            evidence=(ExactExample("counted: S1, 16 channels, 8 cells", too_large_to_invert),),
        ),
        Claim(
            id="A5a",
            where="A.5",
            statement="A has hundreds of different eigenvalues, far fewer than its dimension.",
            assumptions="A = BᵀB of the standard space",
            verdict=Verdict.HOLDS,
            because="A has rank m = 224 at most. For generic B the other eigenvalues are simple, "
            "so that only the eigenvalue 0 has an eigenspace of many dimensions.",
            evidence=(ExactExample("counted in the space and the network", few_eigenvalues),),
        ),
    )
