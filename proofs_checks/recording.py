"""python -m proofs_checks.recording NAME...: run long experiments again, into docs/records/."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence

import torch

from proofs_checks import (
    on_fixed_norms,
    on_mlp,
    on_supernet,
    t9_kinks,
    t12_many_outer_variables,
    wrong_sign_rates,
)
from proofs_checks.measurement import path_of

RECORDINGS: Mapping[str, Callable[[], None]] = {
    "wrong_sign_rates": wrong_sign_rates.record,
    "regime": t12_many_outer_variables.record,
    "regime_networks": t12_many_outer_variables.record_networks,
    "on_mlp": on_mlp.record,
    "on_fixed_norms": on_fixed_norms.record,
    "on_supernet": on_supernet.record_stationary,
    "on_search": on_supernet.record_search,
    "t9_small": t9_kinks.record_small,
    "t9_full": t9_kinks.record_full,
}


def main(names: Sequence[str]) -> int:
    """Record each name; the return value is the exit status."""
    unknown = [name for name in names if name not in RECORDINGS]
    if unknown or not names:
        print(f"unknown: {unknown}; give one or more of: {', '.join(RECORDINGS)}")
        return 2
    torch.set_num_threads(1)
    for name in names:
        RECORDINGS[name]()
        print(f"wrote {path_of(name)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
