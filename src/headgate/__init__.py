"""headgate: gated recurrent networks at full speed, with the gates in plain view."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headgate import cells as cells
    from headgate.inspection import Monitor as Monitor
    from headgate.inspection import Record as Record
    from headgate.inspection import Thresholds as Thresholds
    from headgate.inspection import examine as examine
    from headgate.inspection import watch as watch
    from headgate.nn import GRU as GRU
    from headgate.nn import LSTM as LSTM
    from headgate.nn import RNN as RNN
    from headgate.nn import Recurrent as Recurrent
    from headgate.nn import init as init
    from headgate.nn import swap as swap
    from headgate.report import show as show
    from headgate.report import write_comparison as write_comparison
    from headgate.report import write_images as write_images
    from headgate.report import write_report as write_report
    from headgate.report import write_watch_report as write_watch_report
    from headgate.training.bench_run import Run as Run
    from headgate.training.callback import WatchCallback as WatchCallback
    from headgate.verbs.checking import check as check
    from headgate.verbs.comparison import compare as compare
    from headgate.verbs.evaluation import evaluate as evaluate
    from headgate.verbs.exporting import export as export
    from headgate.verbs.prediction import predict as predict
    from headgate.verbs.pretrained import load as load
    from headgate.verbs.sampling import sample as sample
    from headgate.verbs.training import train as train

__version__ = "0.1.0"

_HOME = {
    "cells": "headgate.cells",
    "LSTM": "headgate.nn",
    "GRU": "headgate.nn",
    "RNN": "headgate.nn",
    "Recurrent": "headgate.nn",
    "init": "headgate.nn",
    "swap": "headgate.nn",
    "Monitor": "headgate.inspection",
    "Record": "headgate.inspection",
    "Thresholds": "headgate.inspection",
    "examine": "headgate.inspection",
    "watch": "headgate.inspection",
    "show": "headgate.report",
    "write_comparison": "headgate.report",
    "write_images": "headgate.report",
    "write_report": "headgate.report",
    "write_watch_report": "headgate.report",
    "WatchCallback": "headgate.training.callback",
    "Run": "headgate.training.bench_run",
    "train": "headgate.verbs.training",
    "evaluate": "headgate.verbs.evaluation",
    "predict": "headgate.verbs.prediction",
    "sample": "headgate.verbs.sampling",
    "check": "headgate.verbs.checking",
    "export": "headgate.verbs.exporting",
    "load": "headgate.verbs.pretrained",
    "compare": "headgate.verbs.comparison",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    """Public names load when first used, so that `headgate --help` need not wait for torch."""
    if name not in _HOME:
        raise AttributeError(f"module 'headgate' has no attribute {name!r}; it offers {', '.join(_HOME)}.")
    module = importlib.import_module(_HOME[name])
    return module if name == _HOME[name].rpartition(".")[2] else getattr(module, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
