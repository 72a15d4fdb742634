"""headgate watch: how far back does this model remember, and why?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from headgate.cli._output import delivery
from headgate.cli._refusal import Refusal
from headgate.inspection import Examination, Record, examine
from headgate.report import write_watch_report
from headgate.report.river_before import Unmatched, paired
from headgate.report.watch_page import gather
from headgate.training.subject import Subject, of_module, of_run

OPTIONS = "--model module:factory --data FILE.npz"


def watch(
    run: Annotated[
        Path | None, typer.Argument(help="A folder that `headgate train` or `demo` wrote, or one model's folder in it.")
    ] = None,
    data: Annotated[
        Path | None, typer.Argument(help="An .npz file with x [B, T, I] and y, in place of the run's unseen sequences.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("watch.html"),
    needs_lag: Annotated[
        int | None, typer.Option(min=1, help="How many steps back the task reaches; without it nothing is judged.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Your own model: module:factory (docs/watch.md).")] = None,
    model_data: Annotated[
        str | None, typer.Option("--data", help="For --model: FILE.npz with x and y, or module:function with batches.")
    ] = None,
    chance: Annotated[float | None, typer.Option(help="Loss of the best answer that remembers nothing.")] = None,
    tbptt: Annotated[int | None, typer.Option(min=1, help="After how many steps training cuts the gradient.")] = None,
    causes: Annotated[bool, typer.Option(help="Run again with gates held, units stilled, memory cut.")] = True,
    every_step: Annotated[bool, typer.Option(help="The loss reads every step, not the last alone.")] = False,
    text: Annotated[bool, typer.Option("--text", help="Show the words that the first sequence reads.")] = False,
    records: Annotated[Path | None, typer.Option(help="Also keep the measurements in this folder.")] = None,
    before: Annotated[
        Path | None, typer.Option(help="Measurements of the same layers before training: the picture turns to them.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of probes, shuffles and resamples.")] = 0,
) -> int:
    """How far back does a model remember, and why? Measure it and write a page.

    Gates, gradients and content of every recurrent layer are measured exactly; then the model runs again with its gates
    held, its units stilled and its memory cut. The page opens offline.
    """
    _check_places(out, records)
    earlier = [] if before is None else _before(before)
    subjects = _subjects(run, data, model, model_data)
    found: list[Record] = []
    console = Console(stderr=True)
    for subject in subjects:
        console.print(f"looking at {subject.name}", style="dim", highlight=False, soft_wrap=True)
        examination = _examined(
            subject,
            needs_lag=needs_lag or subject.needs_lag,
            chance=subject.chance if chance is None else chance,
            tbptt=tbptt,
            causes=causes,
            every_step=every_step or subject.every_step,
            text=_words(subject) if text else None,
            seed=seed,
        )
        found += _named(examination, subject.name, several=len(subjects) > 1)
    _write(found, out, records, earlier)
    _say(found, out)
    return 0


def _check_places(out: Path, records: Path | None) -> None:
    """Refuse what cannot be written, before the work begins."""
    if out.is_dir():
        raise Refusal(f"--out {out} is a folder; give the name of a page, as watch.html.")
    if records is not None and records.exists() and not records.is_dir():
        raise Refusal(f"--records {records} is a file; give a folder, which need not exist yet.")
    for folder in (out.absolute().parent, records):
        if folder is not None:
            with delivery(folder, "give a place of your own"):
                pass


def _before(folder: Path) -> list[Record]:
    try:
        return gather(folder, f"--before {folder}")
    except ValueError as error:
        raise Refusal(_in_a_line(error)) from None


def _subjects(run: Path | None, data: Path | None, model: str | None, model_data: str | None) -> list[Subject]:
    if (run is None) == (model is None):
        raise Refusal(f"give either a run's folder or your own model ({OPTIONS}), and not both.")
    if model is not None and model_data is None:
        raise Refusal(f"--model {model} needs data to look at it with; give --data FILE.npz or --data module:function.")
    if model is None and model_data is not None:
        raise Refusal(f"--data goes with --model; for a run give the file as a second word: headgate watch {run} FILE.")
    try:
        return of_run(run, data) if model is None else [of_module(model, model_data)]
    except (ValueError, TypeError, RuntimeError, KeyError, OSError) as error:
        raise Refusal(_in_a_line(error)) from None


def _words(subject: Subject) -> Mapping[str, Sequence[str]]:
    if not subject.words:
        why = "your own code alone knows its words, so give them to headgate.examine(..., text=...)"
        raise Refusal(f"--text: {subject.name} has no text to show; {why if subject.own else 'leave it out'}.")
    return subject.words


def _examined(subject: Subject, **asked: object) -> Examination:
    try:
        return examine(subject.model, subject.batches, subject.losses, train_length=subject.train_length, **asked)
    except (ValueError, TypeError, RuntimeError, KeyError) as error:
        raise Refusal(f"{subject.name} cannot be measured: {_in_a_line(error)}") from None
    except Exception as error:
        if not subject.own:
            raise
        # A user's model and losses may raise anything at all; whatever it is, it is theirs and no fault here.
        what = f"{type(error).__name__}: {_in_a_line(error)}"
        raise Refusal(f"{subject.name} cannot be measured: {what}") from None


def _in_a_line(error: Exception) -> str:
    return " ".join(str(error.args[0] if isinstance(error, KeyError) and error.args else error).split())


def _named(examination: Examination, name: str, several: bool) -> list[Record]:
    """The records, each known by its model where there are several."""
    if not several:
        return list(examination.records.values())
    return [Record(f"{name}.{r.name}", r.facts, r.arrays) for r in examination.records.values()]


def _write(found: list[Record], out: Path, records: Path | None, earlier: list[Record]) -> None:
    with ExitStack() as stack:
        beside = stack.enter_context(delivery(out.absolute().parent))
        kept = None if records is None else stack.enter_context(delivery(records))
        try:
            paired(found, earlier, "--before")
            # Under a name of its own first, since a page's own may not end in ".html".
            write_watch_report(found, beside / "page.html", before=earlier or None).replace(beside / out.name)
        except Unmatched as error:
            raise Refusal(_in_a_line(error)) from None
        if kept is not None:
            for record in found:
                record.save(kept / record.name)


def _say(found: list[Record], out: Path) -> None:
    console = Console()
    table = Table("layer", "stores", "can train", "uses", "needs", box=None, pad_edge=False)
    for record in found:
        stored, trainable, used = (record.facts["horizons"][key] for key in ("stored", "trainable", "used"))
        table.add_row(
            record.name,
            "unbounded" if stored.get("unbounded") else _steps(stored.get("max")),
            ("at least " if trainable.get("at_least") else "") + _steps(trainable.get("1e-3")),
            _steps(used.get("lag")),
            _steps(record.facts.get("needs_lag")),
        )
    console.print(table)
    for record in found:
        for verdict in record.facts["verdicts"]:
            evidence = f"({verdict['number']}; rule: {verdict['rule']})"
            words = f"{record.name}: {verdict['name']}. {verdict['text']} {evidence}"
            console.print(Text(words), soft_wrap=True)
    console.print(Text(f"The page: {out}"), soft_wrap=True)


def _steps(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
