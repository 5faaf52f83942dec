"""Verify the whole ledger, on one core or on several."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor

import torch

from proofs_checks.catalogue import all_claims
from proofs_checks.evidence import Outcome
from proofs_checks.ledger import Claim, Verified, find, verify


def verify_all(
    claims: Sequence[Claim], *, jobs: int = 1, each: Callable[[Verified], None] = lambda _: None
) -> tuple[Verified, ...]:
    """Verify `claims`, calling `each` as soon as one is done, in the order given.

    With `jobs` > 1 they are verified by id in worker processes, which build the catalogue anew:
    evidence holds functions and does not travel.
    """
    results: list[Verified] = []
    if jobs == 1:
        for claim in claims:
            results.append(verify(claim))
            each(results[-1])
        return tuple(results)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_use_one_thread) as pool:
        pending = [pool.submit(_outcomes_of, claim.id) for claim in claims]
        for claim, future in zip(claims, pending, strict=True):
            results.append(Verified(claim, future.result()))
            each(results[-1])
    return tuple(results)


def _use_one_thread() -> None:
    torch.set_num_threads(1)


def _outcomes_of(claim_id: str) -> tuple[Outcome, ...]:
    return verify(find(all_claims(), claim_id)).outcomes
