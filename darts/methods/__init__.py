"""Methods that change a search besides the estimator; they combine."""

from darts.methods.alpha_penalty import AlphaPenalty as AlphaPenalty
from darts.methods.alpha_penalty import BetaDecay as BetaDecay
from darts.methods.alpha_penalty import ZeroOne as ZeroOne
from darts.methods.auxiliary_skip import AuxiliarySkip as AuxiliarySkip
from darts.methods.early_stopping import EigenvalueGrowth as EigenvalueGrowth
from darts.methods.early_stopping import SkipLimit as SkipLimit
from darts.methods.early_stopping import Stop as Stop
from darts.methods.mixing import GumbelSoftmax as GumbelSoftmax
from darts.methods.mixing import Mixing as Mixing
from darts.methods.mixing import SampledPath as SampledPath
from darts.methods.mixing import Sigmoid as Sigmoid
from darts.methods.mixing import Softmax as Softmax
from darts.methods.mixing import TwoPaths as TwoPaths
from darts.methods.partial_channels import PartialChannels as PartialChannels
from darts.methods.perturbation import AdversarialPerturbation as AdversarialPerturbation
from darts.methods.perturbation import Perturbation as Perturbation
from darts.methods.perturbation import RandomPerturbation as RandomPerturbation
from darts.methods.progressive import Progressive as Progressive
from darts.methods.random_search import RandomSearch as RandomSearch
from darts.methods.removal import Removal as Removal
from darts.methods.target import CostLimit as CostLimit
from darts.methods.target import CostProduct as CostProduct
from darts.methods.target import CostWeight as CostWeight
from darts.methods.target import Target as Target
