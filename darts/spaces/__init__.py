"""What can be searched."""

from darts.spaces.darts_space import S1 as S1
from darts.spaces.darts_space import S1_FIXED as S1_FIXED
from darts.spaces.genotype import CellGenotype as CellGenotype
from darts.spaces.genotype import Genotype as Genotype
from darts.spaces.space import Space as Space
