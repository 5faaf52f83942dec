"""Tasks: the loss of a network, its measures, and the meaning of labels."""

from darts.tasks.classification import CLASSIFICATION as CLASSIFICATION
from darts.tasks.classification import Classification as Classification
from darts.tasks.multi_label import MultiLabel as MultiLabel
from darts.tasks.named import TASKS as TASKS
from darts.tasks.named import TaskName as TaskName
from darts.tasks.named import task_of as task_of
from darts.tasks.regression import Regression as Regression
from darts.tasks.task import Measure as Measure
from darts.tasks.task import Task as Task
