"""From files to encoded rows: which task, which files, what is held out, learned once and kept."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from headgate.data import DataError, Example, Splits, Store
from headgate.data.cache import digest, kept, key
from headgate.data.tables import open_table
from headgate.tasks import bench
from headgate.tasks.bench_task import BenchTask, Encoding, Fit
from headgate.training.fields import Chosen
from headgate.training.run_config import PARTS

# Below this nobody is sure enough; and of two that are nearly as sure, neither is taken.
SURE, APART = 0.3, 0.1


@dataclass(frozen=True)
class Prepared:
    """Rows to learn from and to judge by.

    Attributes:
        encoding: what turned examples into them.
        stores: by split; one without rows is left out.
    """

    encoding: Encoding
    stores: dict[str, Store]


class Rows:
    """Examples of files, read again whenever they are gone through."""

    def __init__(self, read: Callable[[], Iterator[Example]]) -> None:
        self._read = read

    def __iter__(self) -> Iterator[Example]:
        return self._read()


def guess(path: Path) -> tuple[BenchTask, Fit]:
    """The task that a file is meant for.

    Raises:
        DataError: no task fits, or two fit about as well.
    """
    known = [bench.get(name) for name in bench.names()]
    fits = sorted(((task.fits(path, task.Options()), task) for task in known), key=lambda one: -one[0].sureness)
    likely = [(fit, task) for fit, task in fits if fit.sureness >= max(SURE, fits[0][0].sureness - APART)]
    if not likely:
        raise _of_no_task(path, fits)
    if len(likely) > 1:
        words = " or ".join(f"--task {task.name} ({fit.why})" for fit, task in likely)
        raise DataError(f"{path} fits several tasks; give {words}.")
    return likely[0][1], likely[0][0]


def _of_no_task(path: Path, fits: Sequence[tuple[Fit, BenchTask]]) -> DataError:
    """What no reader of tables can read, or several tasks say of a file, is the file's own fault."""
    why, count = Counter(fit.why for fit, _ in fits).most_common(1)[0]
    if count > 1 and str(path) in why:
        return DataError(why)
    try:
        open_table(path).sample()
    except DataError as reason:
        return reason
    reasons = "; ".join(f"{task.name}: {fit.why.rstrip('.')}" for fit, task in fits)
    names = ", ".join(bench.names())
    return DataError(f"{path} looks like no task's file ({reasons}); mend it, or say which with --task: {names}.")


def prepare(task: BenchTask, splits: Splits, chosen: Chosen) -> Prepared:
    """Encoded rows of every split, from the cache if they are there.

    Raises:
        DataError: a file or a row cannot be used, or nothing is left to learn from or to judge by.
    """
    files = {part: _named(getattr(splits, part)) for part in PARTS}
    missing = [part for part in PARTS[1:] if not files[part]]
    held = {"seed": chosen.learning.seed, "holdout": chosen.learning.holdout} if missing else {}
    name = key([task.name, source(task), asdict(chosen.options), files, held])
    encoding, stores = kept(name, lambda: _encode(task, splits, missing, chosen))
    _refuse_empty(stores, splits, missing, chosen.learning.holdout)
    filled = {part: store for part, store in stores.items() if len(store)}
    for part, store in filled.items():
        # Rows that make no batch are refused here, before anybody has written anything.
        task.loader(store, encoding, chosen.learning, training=part == "train")
    return Prepared(encoding, filled)


def encode_more(task: BenchTask, paths: Sequence[Path], encoding: Encoding, options: Any) -> Store:
    """Rows of further files, encoded as the training rows were.

    Raises:
        DataError: a file or a row cannot be used, or there are no rows.
    """
    name = key([task.name, source(task), asdict(options), _named(paths), encoding])
    _, stores = kept(name, lambda: ({}, {"data": task.encode(task.read(paths, options), encoding, options)}))
    if not len(stores["data"]):
        raise DataError(f"{paths[0]} holds no rows.")
    return stores["data"]


def source(task: BenchTask) -> list[str]:
    """Digests of the files that the task is written in: rows that other code encoded are not taken."""
    file = Path(inspect.getsourcefile(type(task)))
    own = file.parent.glob("*.py") if file.parent.parent == Path(bench.__path__[0]) else [file]
    readers = Path(inspect.getsourcefile(DataError)).parent.glob("*.py")
    return sorted(digest(path) for path in (*own, *readers))


def _named(paths: Sequence[Path]) -> list[list[str]]:
    """Contents, and names, since a format is told by its name and a label may be a folder's."""
    return [[path.parent.name, path.name, digest(path)] for path in paths]


def _encode(task: BenchTask, splits: Splits, missing: list[str], chosen: Chosen) -> tuple[Encoding, dict[str, Any]]:
    options, learning = chosen.options, chosen.learning
    training = Rows(lambda: task.read(splits.train, options))

    def part(split: str) -> Iterable[Example]:
        if split in missing or split == "train":
            return task.part(training, split, missing, options, learning) if missing else training
        return task.read(getattr(splits, split), options)

    encoding = task.learn(part("train"), options)
    return encoding, {split: task.encode(part(split), encoding, options) for split in PARTS}


def _refuse_empty(stores: dict[str, Store], splits: Splits, missing: list[str], share: float) -> None:
    where = splits.train[0]
    if not len(stores["train"]):
        raise DataError(f"{where} holds no rows to learn from.")
    if not len(stores["validation"]):
        if "validation" in missing:
            raise DataError(
                f"{where}: of its {len(stores['train'])} rows none is held out to choose the best model by (holdout "
                f"{share:g}); give more rows, a larger --holdout, or a file with --validation."
            )
        raise DataError(f"{splits.validation[0]} holds no rows.")
