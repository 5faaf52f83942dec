"""How good an estimate is: angle and error, the spectrum it depends on, comparison and advice."""

from bilevel.diagnostics.check_report import CheckFailedError as CheckFailedError
from bilevel.diagnostics.check_report import CheckReport as CheckReport
from bilevel.diagnostics.checking import check as check
from bilevel.diagnostics.comparison import Comparison as Comparison
from bilevel.diagnostics.comparison import compare as compare
from bilevel.diagnostics.direction import angle as angle
from bilevel.diagnostics.direction import relative_error as relative_error
from bilevel.diagnostics.guarantee import certificate as certificate
from bilevel.diagnostics.recommendation import Recommendation as Recommendation
from bilevel.diagnostics.recommendation import recommend as recommend
from bilevel.diagnostics.spectrum import SpectrumEnds as SpectrumEnds
from bilevel.diagnostics.spectrum import Stationarity as Stationarity
from bilevel.diagnostics.spectrum import spectrum_ends as spectrum_ends
from bilevel.diagnostics.spectrum import stationarity as stationarity
