"""Language: see `task`; text out of a model: `generation`."""

from headgate.tasks.bench.language.generation import generate as generate
from headgate.tasks.bench.language.task import TASK as TASK
