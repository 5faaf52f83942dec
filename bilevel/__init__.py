"""Hypergradients for bilevel problems: every estimator is a truncated linear solver."""

from bilevel.derivatives import Autograd as Autograd
from bilevel.derivatives import CentralDifference as CentralDifference
from bilevel.derivatives import Curvature as Curvature
from bilevel.derivatives import ReverseOverForward as ReverseOverForward
from bilevel.diagnostics import CheckReport as CheckReport
from bilevel.diagnostics import angle as angle
from bilevel.diagnostics import check as check
from bilevel.diagnostics import compare as compare
from bilevel.diagnostics import recommend as recommend
from bilevel.diagnostics import relative_error as relative_error
from bilevel.linear import LinearOperator as LinearOperator
from bilevel.problem import BilevelProblem as BilevelProblem
from bilevel.problem import NonFiniteError as NonFiniteError
from bilevel.solver import alternating_step as alternating_step
from bilevel.solver import solve as solve
from bilevel.vector import Vector as Vector
