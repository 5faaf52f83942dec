"""Evaluations at one point hand out the same entries in the same order, and nothing elsewhere."""

import pytest

from bilevel.repeated import Repeated, entry, nothing_kept


class Other(list):
    pass


def test_entries_come_back_in_the_order_in_which_they_were_asked_for():
    repeated = Repeated()
    with repeated.evaluation():
        first = [entry(list), entry(dict)]
    with repeated.evaluation():
        second = [entry(list), entry(dict), entry(list)]
    assert second[0] is first[0]
    assert second[1] is first[1]
    assert second[2] is not first[0]


def test_an_entry_of_another_kind_is_made_anew():
    repeated = Repeated()
    with repeated.evaluation():
        first = entry(dict)
    with repeated.evaluation():
        assert entry(Other) == []
        assert first == {}


def test_there_are_no_entries_outside_of_an_evaluation_or_where_nothing_is_kept():
    assert entry(list) is None
    repeated = Repeated()
    with repeated.evaluation():
        with nothing_kept():
            assert entry(list) is None
        assert entry(list) is not None
    with pytest.raises(ZeroDivisionError), repeated.evaluation():
        _ = 1 / 0
    assert entry(list) is None


def test_two_points_share_nothing():
    one, two = Repeated(), Repeated()
    with one.evaluation(), two.evaluation():
        inner = entry(list)
    with one.evaluation():
        assert entry(list) is not inner
