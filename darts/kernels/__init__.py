"""Kernels for the supernet: native ones where there is a compiler, large ones on a GPU."""

from darts.kernels.functions import evaluated as evaluated
from darts.kernels.functions import node as node
from darts.kernels.functions import unpacked as unpacked
from darts.kernels.functions import usable as usable
from darts.kernels.library import kernels as kernels
from darts.kernels.native import Running as Running
from darts.kernels.plan import NodeSpec as NodeSpec
from darts.kernels.plan import Term as Term
from darts.kernels.plan import Unit as Unit
from darts.kernels.stack import as_map as as_map
from darts.kernels.stack import stackable as stackable
from darts.kernels.stack import stacked as stacked
from darts.kernels.stack import sum_of_norms as sum_of_norms
