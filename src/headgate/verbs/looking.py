"""The watch at the end of training: what some held-out rows tell of every recurrent layer, and its page."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

from torch import nn

from headgate.data import Store
from headgate.inspection import Monitor, Record, examine
from headgate.report import write_watch_report
from headgate.training import checkpoint
from headgate.training.bench_run import RECORDS, REPORT, Run
from headgate.training.probe import probe

# Under this name Lightning's module holds the network, so the layers' names begin with it in training.
HELD = "network."


def look(run: Run, network: nn.Module, rows: Path) -> str | None:
    """Examine a run's best network, keep the records and write the page.

    Args:
        run: whose folder takes record/ and report.html.
        network: its best, in evaluation mode.
        rows: folder of the rows to look at.

    Returns:
        None; or why there is no page, in one sentence.

    Raises:
        OSError: the disk is full.
    """
    task = run.task
    try:
        found = examine(
            network,
            probe(run, Store(rows)),
            task.row_losses,
            needs_lag=task.needs_lag(run.encoding),
            every_step=task.every_step(),
            seed=run.config.chosen.learning.seed,
        )
    except (ValueError, TypeError, RuntimeError, KeyError) as reason:
        return " ".join(str(reason).split())
    records = [_with_film(run, network, record) for record in found.records.values()]
    shutil.rmtree(run.folder / RECORDS, ignore_errors=True)
    for record in records:
        record.save(run.folder / RECORDS / record.name)
    beside = run.folder / f".{REPORT}"
    write_watch_report(records, beside).replace(run.folder / REPORT)
    return None


def _with_film(run: Run, network: nn.Module, record: Record) -> Record:
    """A record with what the watch saw of its layer during training, if it did."""
    seen = checkpoint.watched(run.folder)
    if seen is None:
        return record
    monitor = Monitor(network)
    monitor.load_state_dict(seen)
    try:
        filmed = monitor.add_to(dataclasses.replace(record, name=HELD + record.name))
    except KeyError:  # no look saw this layer
        return record
    return dataclasses.replace(filmed, name=record.name)
