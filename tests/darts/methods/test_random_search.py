"""Random genotypes: every one equally probable, whatever the space."""

from collections import Counter

import pytest

from darts.methods import RandomSearch
from darts.methods.random_search import random_genotype
from darts.spaces import SPACES, Space, Stages


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_a_random_genotype_is_one_of_the_space_and_depends_on_the_seed(space):
    for seed in range(5):
        genotype = random_genotype(space, seed)
        genotype.require(space)
        assert genotype == random_genotype(space, seed)
    assert len({random_genotype(space, seed) for seed in range(5)}) == 5


def test_genotypes_are_uniform_on_edges_with_different_numbers_of_operations():
    """Ten cells: χ² over 4,000 draws stays below its 1e-4 tail."""
    pair = ("skip_connect", "max_pool_3x3", "avg_pool_3x3")
    space = Space(
        "uneven",
        pair,
        nodes=2,
        edges=((0, 1), (0, 2), (1, 2)),
        keep_edges=1,
        macro_architecture=Stages(1),
        edge_operations=((pair[:2], pair[:2], pair),),
    )
    assert space.size == 2 * (2 + 3)
    counts = Counter(random_genotype(space, seed) for seed in range(4000))
    assert len(counts) == 10
    assert sum((count - 400) ** 2 / 400 for count in counts.values()) < 33.7  # 9 degrees


def test_the_papers_random_search_draws_twenty_and_keeps_two():
    assert (RandomSearch().samples, RandomSearch().keep) == (20, 2)
    for bad in ({"samples": 0}, {"keep": 0}, {"samples": 3, "keep": 4}):
        with pytest.raises(ValueError, match="keep at least one"):
            RandomSearch(**bad)
