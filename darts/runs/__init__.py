"""Runs: their settings, their records, and the work between them."""

from darts.runs.config import FullConfig as FullConfig
from darts.runs.config import RetrainConfig as RetrainConfig
from darts.runs.config import SearchConfig as SearchConfig
from darts.runs.full import FullResult as FullResult
from darts.runs.full import full_run as full_run
from darts.runs.presets import PRESETS as PRESETS
from darts.runs.records import RunFolder as RunFolder
from darts.runs.retrain import RetrainResult as RetrainResult
from darts.runs.search import SearchResult as SearchResult
