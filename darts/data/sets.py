"""The data sets that a run can have. A further one is a line here, beside its own class."""

from darts.data.digits import Digits
from darts.data.folders import ImageFolders
from darts.data.published import Cifar10, Cifar100, FashionMnist, Mnist

DataSet = Digits | Cifar10 | Cifar100 | Mnist | FashionMnist | ImageFolders
"""Each has a `name`, says in its fields where its images are and how many are wanted, and loads
them as an `ImageSet`."""
