"""Where a job's results go: checked before the work begins, written in one go when it is done."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headgate.cli._refusal import Refusal


def check(folder: Path, mark: str) -> None:
    """Refuse a place that cannot take results; leaves it as it was.

    Args:
        folder: where they shall go; it may not exist yet.
        mark: a file that an earlier run leaves there; a folder without it must be empty.

    Raises:
        Refusal: a file, a folder with something else in it, or one that cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise Refusal(f"--out {folder} is a file; give a folder, which need not exist yet.")
    try:
        foreign = folder.is_dir() and any(folder.iterdir()) and not (folder / mark).is_file()
    except OSError as error:
        raise Refusal(f"--out {folder} cannot be read ({error.strerror}); give a folder of your own.") from None
    if foreign:
        raise Refusal(f"--out {folder} holds other files; give a new folder, an empty one, or that of an earlier run.")
    with delivery(folder, "give a folder of your own"):
        pass  # what nobody writes replaces nothing, but shows that one may write


@contextmanager
def delivery(folder: Path, hint: str = "nothing was written") -> Iterator[Path]:
    """A folder to write into; what is in it replaces what is in `folder` when all of it is there, and not otherwise.

    Args:
        folder: where it goes; made if need be, and not left behind empty.
        hint: ends the refusal.

    Raises:
        Refusal: the disk said no; nothing is left behind.
    """
    missing = [place for place in (folder, *folder.absolute().parents) if not place.exists()]
    staging = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".headgate-", dir=folder))
        yield staging
        _replace(folder, staging)
    except OSError as error:
        raise Refusal(f"--out {folder} cannot be written ({error.strerror or error}); {hint}.") from None
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
        for place in missing:
            if place.is_dir() and not any(place.iterdir()):
                place.rmdir()


def _replace(folder: Path, staging: Path) -> None:
    replaced = staging / "replaced"
    new = sorted(staging.iterdir())
    replaced.mkdir()
    for path in new:
        old = folder / path.name
        if old.exists():
            old.rename(replaced / path.name)
        path.rename(old)
