"""Show: a run folder becomes one offline page. Reads folders and Records, never a live model."""

from headgate.report.page import write_report as write_report
from headgate.report.watch_page import write_watch_report as write_watch_report
