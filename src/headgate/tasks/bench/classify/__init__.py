"""A text or a series gets one label, or several."""

from headgate.tasks.bench.classify.task import TASK as TASK
