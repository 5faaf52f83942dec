"""Ready problems: each a function that returns losses and a point, with what is known about it."""

from bilevel.problems.distillation import Distillation as Distillation
from bilevel.problems.distillation import distillation as distillation
from bilevel.problems.hyper_cleaning import HyperCleaning as HyperCleaning
from bilevel.problems.hyper_cleaning import hyper_cleaning as hyper_cleaning
from bilevel.problems.hyper_cleaning import mlp_cleaning as mlp_cleaning
from bilevel.problems.inner_solution import InnerSolution as InnerSolution
from bilevel.problems.inner_solution import solve_inner as solve_inner
from bilevel.problems.loss_weights import LossWeights as LossWeights
from bilevel.problems.loss_weights import loss_weights as loss_weights
from bilevel.problems.mixture import Mixture as Mixture
from bilevel.problems.mixture import mixture as mixture
from bilevel.problems.quadratic import Quadratic as Quadratic
from bilevel.problems.quadratic import quadratic as quadratic
from bilevel.problems.ready import ReadyProblem as ReadyProblem
from bilevel.problems.regression import logistic_regression as logistic_regression
from bilevel.problems.regression import ridge_regression as ridge_regression
