"""Native kernels for the supernet, where there is a compiler; PyTorch does without them too."""

from darts.kernels.functions import node as node
from darts.kernels.functions import pointwise_norm as pointwise_norm
from darts.kernels.functions import unpacked as unpacked
from darts.kernels.functions import usable as usable
from darts.kernels.library import kernels as kernels
from darts.kernels.native import Unit as Unit
from darts.kernels.sums import NodeSpec as NodeSpec
from darts.kernels.sums import Term as Term
