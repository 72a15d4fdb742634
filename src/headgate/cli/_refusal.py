"""What a verb says when it will not go on: one sentence, exit code 2."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

# Which extra of ours brings a module.
EXTRAS = {
    "typer": "train",
    "rich": "train",
    "sklearn": "train",
    "scipy": "train",
    "charset_normalizer": "train",
    "safetensors": "train",
    "tomli_w": "train",
    "lightning": "train",
    "tensorboard": "train",
    "tokenizers": "train",
    "polars": "train",
    "huggingface_hub": "train",
    "torchcrf": "train",
    "sacrebleu": "train",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "jinja2": "report",
    "markupsafe": "report",
    "latex2mathml": "report",
}


class Refusal(Exception):
    """The message is one sentence for the person at the keyboard; nothing has been written."""


@contextmanager
def refusing() -> Iterator[None]:
    """Within it, what a verb raises about data, settings and the disk becomes a Refusal.

    Raises:
        Refusal: the message of a DataError, ValueError, TypeError, KeyError, OSError or ArithmeticError, in one line.
    """
    try:
        yield
    except (ValueError, TypeError, KeyError, OSError, ArithmeticError) as error:
        raise Refusal(in_a_line(error)) from None


def in_a_line(error: BaseException) -> str:
    """What an error says, in one line; of the disk, what it said of which file."""
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror or error}."
    if isinstance(error, KeyError) and error.args:
        return " ".join(str(error.args[0]).split())
    return " ".join(str(error).split())


def missing(*modules: str) -> str | None:
    """What to install for the first of these modules that is not there, in one sentence; None if all are."""
    lacking = next((name for name in modules if importlib.util.find_spec(name) is None), None)
    return None if lacking is None else advice(lacking)


def advice(module: str) -> str:
    """What to install for a module that is not there."""
    return f"this needs {module}, which is not installed; pip install 'headgate[{EXTRAS[module]}]' brings it."
