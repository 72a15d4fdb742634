"""Translate: one text to another, learned from pairs; chat, summaries and captions are this task on other files."""

from headgate.tasks.bench.translate.task import Translate

TASK = Translate()
