"""What can be searched."""

from darts.spaces.adjacent_edges import S1_ADJACENT as S1_ADJACENT
from darts.spaces.adjacent_edges import named_by_edges as named_by_edges
from darts.spaces.adjacent_edges import s2_adjacent as s2_adjacent
from darts.spaces.darts_space import S1 as S1
from darts.spaces.darts_space import S1_FIXED as S1_FIXED
from darts.spaces.darts_space import S2 as S2
from darts.spaces.darts_space import s2 as s2
from darts.spaces.genotype import CellGenotype as CellGenotype
from darts.spaces.genotype import Genotype as Genotype
from darts.spaces.macro_architecture import OnePerCell as OnePerCell
from darts.spaces.macro_architecture import Stages as Stages
from darts.spaces.macro_architecture import TwoKinds as TwoKinds
from darts.spaces.nasbench201 import NASBENCH201 as NASBENCH201
from darts.spaces.operations import register_operation as register_operation
from darts.spaces.registry import SPACES as SPACES
from darts.spaces.registry import register_space as register_space
from darts.spaces.registry import space_named as space_named
from darts.spaces.registry import spaces_in_words as spaces_in_words
from darts.spaces.registry import spaces_of as spaces_of
from darts.spaces.robust_darts import ROBUST_S1 as ROBUST_S1
from darts.spaces.robust_darts import ROBUST_S2 as ROBUST_S2
from darts.spaces.robust_darts import ROBUST_S3 as ROBUST_S3
from darts.spaces.robust_darts import ROBUST_S4 as ROBUST_S4
from darts.spaces.space import Space as Space
