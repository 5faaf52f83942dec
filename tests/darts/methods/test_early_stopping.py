"""DARTS+ stops at the skip limit, RobustDARTS at the growth of the eigenvalue; each rolls back."""

import pytest

from darts.methods import EigenvalueGrowth, SkipLimit
from darts.methods.early_stopping import Epoch
from darts.spaces import ROBUST_S4, S1, Genotype


def epoch(skips_normal: int, skips_reduce: int = 0, eigenvalue: float | None = None) -> Epoch:
    def edges(skips):
        names = ["skip_connect"] * skips + ["sep_conv_3x3"] * (8 - skips)
        return [[name, source] for name, source in zip(names, (0, 1) * 4, strict=True)]

    content = {"normal": edges(skips_normal), "reduce": edges(skips_reduce)}
    concat = {f"{kind}_concat": [2, 3, 4, 5] for kind in content}
    return Epoch(Genotype.from_dict(content | concat), eigenvalue)


def test_the_skip_limit_stops_at_two_skips_in_a_normal_cell_and_keeps_the_epoch_before():
    history = [epoch(0), epoch(1, 5), epoch(1, 8)]
    assert SkipLimit()(history) is None
    stopped = SkipLimit()([*history, epoch(2)])
    assert stopped.keep == 2
    assert stopped.reason == "the normal cell has 2 skip-connects; 2 are the limit"
    assert SkipLimit()([epoch(3)]).keep == 0
    assert SkipLimit(skips=4)([epoch(3)]) is None


def grown(*values: float) -> list[Epoch]:
    return [epoch(0, eigenvalue=value) for value in values]


def test_eigenvalue_growth_compares_two_windows_and_rolls_one_back():
    """Means 1 and (1 + 1 + 1.5 + 1.5 + 1.7)/5 = 1.34: the ratio is 0.746 < 0.75."""
    rule = EigenvalueGrowth()
    assert rule(grown(*[1.0] * 12)) is None
    assert rule(grown(1, 1, 1, 1, 1, 1, 1, 1.5, 1.5)) is None  # not two windows yet
    assert rule(grown(1, 1, 1, 1, 1, 1, 1, 1.5, 1.5, 1.66)) is None
    stopped = rule(grown(1, 1, 1, 1, 1, 1, 1, 1.5, 1.5, 1.7))
    assert stopped.keep == 4
    assert "from 1 to 1.34 (means of 5 epochs)" in stopped.reason
    assert rule(grown(*[2.0] * 5, *[1.0] * 5)) is None  # it fell
    assert rule(grown(*[-2.0] * 5, *[-1.0] * 5)) is None  # no positive curvature to compare


def test_a_limit_on_skips_needs_skips():
    SkipLimit().require(S1)
    with pytest.raises(ValueError, match="which has no skip_connect: it would never stop"):
        SkipLimit().require(ROBUST_S4)


@pytest.mark.parametrize("bad", [{"window": 0}, {"ratio": 0.0}, {"ratio": 1.0}])
def test_rules_that_cannot_be_are_refused(bad):
    with pytest.raises(ValueError, match="EigenvalueGrowth"):
        EigenvalueGrowth(**bad)
    with pytest.raises(ValueError, match="give 1 or more"):
        SkipLimit(skips=0)
