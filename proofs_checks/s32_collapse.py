"""§3.1, §3.2 and Fig. 1: DARTS fails when it converges; what can be counted of it."""

from __future__ import annotations

from fractions import Fraction

import torch

from darts.networks.counting import count_parameters
from darts.networks.derived import DerivedNetwork
from darts.spaces.genotype import CellGenotype, Genotype
from darts.spaces.operations import build, search_recipe
from darts.spaces.published import PUBLISHED
from proofs_checks.definitions import Formulas
from proofs_checks.evidence import ExactCounterexample, ExactExample, Exhibit
from proofs_checks.ledger import Claim, Verdict
from proofs_checks.paper import not_tested

FOUND = ("DARTS_V1", "DARTS_V2", "SNAS_moderate", "PDARTS", "PC_DARTS_cifar")
"""Genotypes that differentiable searches of Table 1 found."""

LONG = "It needs searches of 200 epochs in the space with 14 edges, by first order, 3 seeds or more"
UNTESTED = (
    ("§3.2a", f"{LONG}, and the weights along them."),
    ("§3.2j", "It needs networks with and without it, retrained alike."),
    ("§3.2i", "It needs searches that differ in initial α, learning rate and length."),
    ("F1a", f"{LONG}, with cells retrained along the way."),
)


def parameters_of(operation: str, stride: int, channels: int = 16) -> int:
    """Those of one edge in a super-network."""
    return sum(p.numel() for p in build(operation, channels, stride, search_recipe()).parameters())


def all_skip() -> Genotype:
    """Cells of nothing but skip-connects, from the two inputs of each."""
    edges = (("skip_connect", 0), ("skip_connect", 1)) * 4
    return Genotype(tuple(CellGenotype(kind, edges, (2, 3, 4, 5)) for kind in ("normal", "reduce")))


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    def kinks() -> Exhibit:
        """f(ω) = max(0, ω), a network of one weight at the image x = 1."""

        def network(omega: Fraction) -> Fraction:
            return max(Fraction(0), omega)

        step = Fraction(1, 1000)
        ahead = (network(step) - network(Fraction(0))) / step
        behind = (network(Fraction(0)) - network(-step)) / step
        return Exhibit(
            {"difference quotient from above": ahead, "from below": behind},
            {"ω = 0": network(Fraction(0)) == 0},
            {"they have one limit": ahead == behind},
        )

    def skip() -> Exhibit:
        same, halving = parameters_of("skip_connect", 1), parameters_of("skip_connect", 2)
        return Exhibit(
            {"parameters in a normal cell": same, "on a halving edge, C = 16": halving},
            {},
            {
                "none in a normal cell": same == 0,
                "some where the resolution is halved": halving > 0,
            },
        )

    def far_fewer() -> Exhibit:
        with torch.device("meta"):
            skips = count_parameters(DerivedNetwork(all_skip()))
            found = {
                name: count_parameters(DerivedNetwork(PUBLISHED[name].genotype)) for name in FOUND
            }
        shares = [round(Fraction(100 * skips, count)) for count in found.values()]
        return Exhibit(
            {"all skip-connect, C = 36, 20 cells": skips, **found, "its share of them, %": shares},
            {},
            {"43 to 56 % of them": (min(shares), max(shares)) == (43, 56)},
        )

    return (
        *(not_tested(claim_id, because) for claim_id, because in UNTESTED),
        Claim(
            id="§3.1a",
            where="§3.1",
            statement="The super-network is a differentiable function of ω and α.",
            assumptions="activations and pools that are differentiable",
            verdict=Verdict.HOLDS_IF,
            because="It is one of α, and of ω almost everywhere; ReLU and max pooling have kinks. "
            "These matter where second derivatives are taken by differences (T9).",
            evidence=(ExactCounterexample("one weight before a ReLU", kinks),),
        ),
        Claim(
            id="§3.2f",
            where="§3.2",
            statement="Skip-connect has no parameters.",
            assumptions="edges that keep the resolution",
            verdict=Verdict.HOLDS_IF,
            because="True in normal cells. On the halving edges of a reduction cell it is two "
            "strided 1×1 convolutions, as in DARTS's code.",
            evidence=(ExactExample("one edge of each kind, counted", skip),),
        ),
        Claim(
            id="§3.2g",
            where="§1; §3.2",
            statement="A network of skip-connects has far fewer parameters than a good one.",
            assumptions="36 channels, 20 cells, CIFAR-10; the good ones are the five genotypes of "
            "differentiable searches in Table 1 that are published",
            verdict=Verdict.HOLDS,
            because="About half: 43 to 56 % of theirs. What is left are stem, preprocessing and "
            "classifier.",
            evidence=(ExactExample("counted", far_fewer),),
        ),
    )
