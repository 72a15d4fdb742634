"""Show: a run folder, or Records, become one offline page. Reads folders and Records, never a live model."""

from headgate.report.compare_page import write_comparison as write_comparison
from headgate.report.images import write_images as write_images
from headgate.report.notebook import show as show
from headgate.report.page import write_report as write_report
from headgate.report.river_static import river_svg as river_svg
from headgate.report.watch_page import write_watch_report as write_watch_report
