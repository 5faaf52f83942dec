"""Ways to take H and B: exactly, or by differences."""

from bilevel.derivatives.autograd import Autograd as Autograd
from bilevel.derivatives.central_difference import CentralDifference as CentralDifference
from bilevel.derivatives.curvature import Checked as Checked
from bilevel.derivatives.curvature import Curvature as Curvature
from bilevel.derivatives.curvature import Derivatives as Derivatives
from bilevel.derivatives.reverse_over_forward import ReverseOverForward as ReverseOverForward
