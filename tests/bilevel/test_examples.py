"""The worked examples run, at a reduced size, and show what they claim."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from docs.examples import cleaning, distilling, operations, penalties, weights_of_a_loss

Found = Mapping[str, Mapping[str, float]]


def test_cleaning_finds_the_wrong_labels_with_every_estimator_that_has_an_implicit_term() -> None:
    found = cleaning.main(steps=30, train=120)
    assert found["first order"]["AUC of wrong labels"] == 0.5
    for name in ("identity, η = 1", "amended, η = 0.1", "CG, 10", "certified"):
        assert found[name]["AUC of wrong labels"] > 0.75


def test_distilling_gains_with_a_solve() -> None:
    found = distilling.main(steps=20, train=300)
    assert found["first order"]["L_val"] == pytest.approx(found["start"]["L_val"])
    assert found["CG, 10"]["L_val"] < 0.9 * found["start"]["L_val"]


@pytest.mark.slow
@pytest.mark.parametrize("module", [penalties, weights_of_a_loss, operations])
def test_the_longer_examples_improve_on_their_start_with_cg(module: object) -> None:
    found: Found = module.main()  # type: ignore[attr-defined]
    assert found["CG, 10"]["L_val"] < found["start"]["L_val"]
