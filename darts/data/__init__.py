"""Real images: loading, stratified splits, and batches that are a function of the step."""

from darts.data.arrays import image_set as image_set
from darts.data.augmentation import Augmentation as Augmentation
from darts.data.batches import Batch as Batch
from darts.data.batches import Batches as Batches
from darts.data.batches import PairedBatches as PairedBatches
from darts.data.batches import RetrainData as RetrainData
from darts.data.batches import SearchData as SearchData
from darts.data.digits import Digits as Digits
from darts.data.image_folder import FolderImages as FolderImages
from darts.data.image_folder import ImageFolders as ImageFolders
from darts.data.images import Images as Images
from darts.data.images import ImageSet as ImageSet
from darts.data.images import LabelledImages as LabelledImages
from darts.data.images import Normalisation as Normalisation
from darts.data.own_images import OwnImages as OwnImages
from darts.data.published import Cifar10 as Cifar10
from darts.data.published import Cifar100 as Cifar100
from darts.data.published import FashionMnist as FashionMnist
from darts.data.published import Mnist as Mnist
from darts.data.sets import DataSet as DataSet
from darts.data.sets import images_of_set as images_of_set
from darts.data.sets import register_data_set as register_data_set
from darts.data.splits import split as split
from darts.data.splits import subset as subset
