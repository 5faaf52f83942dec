"""Estimators of the hypergradient: one file each, named after the method."""

from bilevel.estimators.amended import Amended as Amended
from bilevel.estimators.base import Estimator as Estimator
from bilevel.estimators.base import Hypergradient as Hypergradient
from bilevel.estimators.base import ImplicitEstimator as ImplicitEstimator
from bilevel.estimators.base import Solve as Solve
from bilevel.estimators.base import Status as Status
from bilevel.estimators.darts_second_order import DartsSecondOrder as DartsSecondOrder
from bilevel.estimators.exact import Exact as Exact
from bilevel.estimators.first_order import FirstOrder as FirstOrder
from bilevel.estimators.identity import Identity as Identity
