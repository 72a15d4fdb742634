"""Where a job's results go: checked before the work begins, written in one go when it is done."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headgate.cli._refusal import Refusal


def check(folder: Path, mark: str) -> None:
    """Refuse a place that cannot take results; touches nothing.

    Args:
        folder: where they shall go; it may not exist yet.
        mark: a file that an earlier run leaves there; a folder without it must be empty.

    Raises:
        Refusal: a file, a folder with something else in it, or one that cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise Refusal(f"--out {folder} is a file; give a folder, which need not exist yet.")
    try:
        if folder.is_dir() and any(folder.iterdir()) and not (folder / mark).is_file():
            raise Refusal(f"--out {folder} holds something else; give a new folder, an empty one, or that of an earlier run.")
    except PermissionError:
        raise Refusal(f"--out {folder} cannot be read; give a folder of your own.") from None
    nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not nearest.is_dir():
        raise Refusal(f"--out {folder} lies below {nearest}, which is a file; give a folder.")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise Refusal(f"--out {folder} cannot be written, since {nearest} does not let us; give a folder of your own.")


@contextmanager
def delivery(folder: Path) -> Iterator[Path]:
    """A folder to write into; what is in it replaces what is in `folder` when all of it is there, and not otherwise.

    Raises:
        Refusal: the disk said no; nothing is left behind.
    """
    missing = [place for place in (folder, *folder.absolute().parents) if not place.exists()]
    staging = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".headgate-", dir=folder))
        yield staging
        replaced = staging / "replaced"
        replaced.mkdir()
        for new in sorted(path for path in staging.iterdir() if path != replaced):
            old = folder / new.name
            if old.exists():
                old.rename(replaced / new.name)
            new.rename(old)
        missing = []
    except OSError as error:
        raise Refusal(f"the results cannot be written to {folder}: {error.strerror or error}.") from None
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
        for place in missing:
            if place.is_dir() and not any(place.iterdir()):
                place.rmdir()
