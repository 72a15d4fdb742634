"""Every token of a sentence gets a tag; tags write spans."""

from headgate.tasks.bench.tag.task import TASK as TASK
