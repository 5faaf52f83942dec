"""Records turned into what people look at: progress, figures, tables, one page."""

from darts.reports.html import write_report as write_report
from darts.reports.progress import LiveProgress as LiveProgress
from darts.reports.summary import write_summary as write_summary
