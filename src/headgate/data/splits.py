"""Which files are for training, validation and test, and which rows are held out where there is one file alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from headgate.data.example import DataError

# Words in a file's name that say what it is for.
WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "development"),
    "test": ("test", "testing", "eval"),
}
# Files that stand beside data and are none.
ASIDE = ("license", "licence", "copying", "notice", "readme")


@dataclass(frozen=True)
class Splits:
    """Files by what they are for; a split that is empty is held out of the training rows.

    Attributes:
        train, validation, test: files, sorted.
    """

    train: tuple[Path, ...]
    validation: tuple[Path, ...] = ()
    test: tuple[Path, ...] = ()


def find_splits(data: str | Path, validation: str | Path | None = None, test: str | Path | None = None) -> Splits:
    """The files of each split.

    Args:
        data: a file, all of it for training; or a folder, whose files say what they are for in their names
            ("train.csv", "emerging.dev.conll") or in that of a folder inside it ("train/01.csv"). Where none says so,
            all are for training. Hidden files, a licence and a readme are left out.
        validation, test: a file each, in place of what the folder has.

    Raises:
        DataError: no such file or folder, an empty folder, or a folder that has files for other splits but none for
            training.
    """
    found = _in_folder(Path(data)) if Path(data).is_dir() else Splits((_existing(data),))
    given = {"validation": validation, "test": test}
    parts = {name: (_existing(path),) for name, path in given.items() if path is not None}
    return Splits(found.train, **{"validation": found.validation, "test": found.test, **parts})


def split_of(path: Path) -> str | None:
    """The split that a file's name speaks of; None if it speaks of none."""
    words = {word for word in re.split(r"[^a-z]+", path.name.lower()) if word}
    return next((split for split, known in WORDS.items() if words & set(known)), None)


def held_out(place: int, seed: int, share: float) -> bool:
    """Whether the row at this place, counted from 0, is held out: so of any row alone, in any order of asking.

    Args:
        place: of the row.
        seed: another seed holds out other rows.
        share: in [0, 1], of all rows.
    """
    digest = blake2b(f"{seed} {place}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) < share * 2**64


def _in_folder(folder: Path) -> Splits:
    there = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    files = sorted(path for path in there if path.name.lower().partition(".")[0] not in ASIDE)
    if not files:
        raise DataError(f"{folder} is an empty folder; give a file or a folder with files.")
    found: dict[str, list[Path]] = {split: [] for split in WORDS}
    for path in files:
        inside = [path, *path.parents][: len(path.relative_to(folder).parts)]
        split = next((split for split in map(split_of, inside) if split is not None), None)
        if split is not None:
            found[split].append(path)
    if not any(found.values()):
        return Splits(tuple(files))
    if not found["train"]:
        raise DataError(f"{folder} has files for validation or test, but none whose name says train.")
    return Splits(**{split: tuple(paths) for split, paths in found.items()})


def _existing(path: str | Path) -> Path:
    if not Path(path).is_file():
        raise DataError(f"{path}: there is no such file.")
    return Path(path)
