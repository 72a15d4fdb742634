"""Measure: gates, states and gradients of recurrent layers, exact. Draws nothing; `watch` is the door."""

from headgate.inspection.capture import Watch as Watch
from headgate.inspection.capture import watch as watch
from headgate.inspection.examination import Examination as Examination
from headgate.inspection.examination import examine as examine
from headgate.inspection.monitor import Monitor as Monitor
from headgate.inspection.record import Record as Record
from headgate.inspection.thresholds import Thresholds as Thresholds
from headgate.inspection.trace import Trace as Trace
