"""Networks over the spaces: the supernet, and the network of a genotype."""

from darts.networks.adapter import SupernetAdapter as SupernetAdapter
from darts.networks.architecture import Architecture as Architecture
from darts.networks.blueprint import load_network as load_network
from darts.networks.derived import DerivedNetwork as DerivedNetwork
from darts.networks.supernet import Supernet as Supernet
