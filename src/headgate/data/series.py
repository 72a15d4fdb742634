"""Series of numbers with a label each: .ts files, NumPy archives and idx files, and tables of numbers."""

from __future__ import annotations

import gzip
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from headgate.data.example import DataError, Example, Place
from headgate.data.text import lines, opened

# Larger numbers are marks for "missing" or damage; float32 ends at 3.4e38, and squares are summed.
LARGEST = 1e30
# One series of an idx file; a damaged header may ask for anything.
LARGEST_BYTES = 256_000_000
IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MISSING = frozenset(("?", "", "nan", "na", "n/a", "null", "none"))


def checked(values: np.ndarray, place: Place) -> np.ndarray:
    """A series as float32 [T, I], missing values as NaN.

    Args:
        values: numbers [T] or [T, I].
        place: for messages.

    Raises:
        DataError: there is no step or no channel, or a number is infinite or beyond LARGEST.
    """
    values = np.asarray(values, np.float64)
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2 or 0 in values.shape:
        raise DataError(f"{place}: a series of shape {list(values.shape)} came, but [steps, channels] was expected.")
    with np.errstate(invalid="ignore"):
        wrong = np.argwhere(np.abs(values) > LARGEST)
    if len(wrong):
        step, channel = wrong[0]
        raise DataError(
            f"{place}: step {step + 1} of channel {channel + 1} is {values[step, channel]:g}; give finite numbers "
            f"below {LARGEST:g}, and leave missing ones out or write ?."
        )
    return values.astype(np.float32)


def number(text: object, place: Place) -> float:
    """A cell as a number; what is missing is NaN.

    Raises:
        DataError: it is no number.
    """
    if text is None or (isinstance(text, str) and text.strip().lower() in MISSING):
        return math.nan
    try:
        return float(text)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{place}: {str(text)[:40]!r} came where a number was expected.") from None


# --- .ts, as the UEA and UCR archives have it


def ts_series(path: str | Path, encoding: str = "utf-8", answers: bool = True) -> Iterator[Example]:
    """The series of a .ts file: "@" lines that describe it, then one series a line, channels parted by colons.

    Source of the format: Loning et al. 2019, "sktime: a unified interface for machine learning with time series".

    Args:
        path: the file, compressed with gzip or not.
        encoding: of its text.
        answers: whether each line has to end in a label; without, it does where the head of the file says so.

    Raises:
        DataError: a line that the format does not know, a number that is none, channels of different lengths or
            another count, time stamps, no label.
    """
    labelled, channels, inside = None, None, False
    for k, raw in enumerate(lines(path, encoding), 1):
        line, place = raw.strip(), Place(path, k)
        if not line or line.startswith("#"):
            continue
        if not inside:
            inside = line.lower() == "@data"
            labelled = _ts_setting(line, place, labelled)
            if inside and answers and not labelled:
                raise DataError(f"{path} has no labels (its head lacks @classLabel true), but each series needs one.")
            continue
        parts = line.split(":")
        label = parts.pop().strip() if labelled else None
        if labelled and not label:
            raise DataError(f"{place} ends without a label; write it after the last colon.")
        if channels is not None and len(parts) != channels:
            raise DataError(f"{place} has {len(parts)} channels, but the series before it have {channels}.")
        channels = len(parts)
        yield Example(checked(_ts_values(parts, place), place), label, place)
    if channels is None:
        raise DataError(f"{path} holds no series; they were expected, one a line, after a line @data.")


def _ts_setting(line: str, place: Place, labelled: bool | None) -> bool | None:
    if not line.startswith("@"):
        raise DataError(f"{place}: {line[:40]!r} came before the line @data; a .ts file begins with lines of @.")
    words = line.lower().split()
    if words[:2] == ["@timestamps", "true"]:
        raise DataError(f"{place}: series with time stamps are not read; write values alone, evenly spaced.")
    if words[0] == "@targetlabel":
        raise DataError(f"{place}: the targets are numbers to be estimated, but classes were expected.")
    return words[1:2] == ["true"] if words[0] == "@classlabel" else labelled


def _ts_values(parts: list[str], place: Place) -> np.ndarray:
    rows = []
    for k, part in enumerate(parts, 1):
        cells = part.split(",")
        try:
            rows.append(np.array(cells, np.float64))
        except ValueError:
            where = Place(place.file, place.line, f"channel {k}")
            rows.append(np.array([number(cell, where) for cell in cells]))
    if len({len(row) for row in rows}) > 1:
        raise DataError(f"{place} has channels of {sorted({len(r) for r in rows})} steps; all need the same number.")
    return np.stack(rows, 1) if rows else np.empty((0, 0))


# --- NumPy archives

INPUTS, TARGETS, LENGTHS = ("x", "X", "data", "series"), ("y", "Y", "labels", "label", "target"), ("lengths", "length")
_UNREADABLE = (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile, zlib.error, MemoryError, RuntimeError)
_UNREADABLE += (SyntaxError, TypeError, OverflowError, struct.error)


def npz_series(path: str | Path, answers: bool = True) -> Iterator[Example]:
    """The series of a NumPy archive: x [N, T, I] or [N, T], y [N], and `lengths` [N] where rows are padded.

    Raises:
        DataError: it is no such archive, arrays are missing, have other shapes or hold objects.
    """
    arrays = _archive(path)
    x, y, lengths = (next((arrays[n] for n in names if n in arrays), None) for names in (INPUTS, TARGETS, LENGTHS))
    if x is None or x.ndim not in (2, 3) or x.dtype.kind not in "biuf":
        found = ", ".join(f"{name} {list(value.shape)} {value.dtype}" for name, value in arrays.items()) or "nothing"
        raise DataError(f"{path} holds {found}, but an array x of numbers [N, T, I] was expected.")
    if not len(x):
        raise DataError(f"{path} holds no series: x has shape {list(x.shape)}.")
    if answers and y is None:
        raise DataError(f"{path} has no labels; add an array y [N].")
    for name, value in (("y", y), ("lengths", lengths)):
        if value is not None and (value.ndim != 1 or len(value) != len(x)):
            raise DataError(f"{path}: {name} has shape {list(value.shape)}, but x has {len(x)} rows.")
    if lengths is not None and (lengths.dtype.kind not in "iu" or not ((lengths > 0) & (lengths <= x.shape[1])).all()):
        raise DataError(f"{path}: lengths must be whole numbers from 1 to {x.shape[1]}, the steps of x.")
    for k, values in enumerate(x):
        place = Place(path, None, f"x[{k}]")
        label = None if y is None else _label(y[k])
        yield Example(checked(values if lengths is None else values[: lengths[k]], place), label, place)


def _archive(path: str | Path) -> dict[str, np.ndarray]:
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as found:
            return {name: np.asarray(found[name]) for name in found.files}
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file.") from None
    except (AttributeError, *_UNREADABLE) as reason:
        raise DataError(f"{path} is no readable NumPy archive ({' '.join(str(reason).split())[:80]}).") from None


def _label(value: np.generic) -> str:
    whole = value.dtype.kind == "f" and float(value).is_integer()
    return str(int(value)) if whole else str(value.item()).strip()


# --- idx, as MNIST has it


def is_idx(path: str | Path) -> bool:
    """Whether a file begins as idx files do."""
    try:
        with opened(path) as file:
            head = file.read(4)
    except (OSError, EOFError, zlib.error):
        return False
    return len(head) == 4 and head[:2] == b"\0\0" and head[2] in IDX_TYPES and 1 <= head[3] <= 4


def idx_series(path: str | Path, answers: bool = True) -> Iterator[Example]:
    """The series of an idx file [N, T] or [N, T, I] (pictures are read row by row), labels from the file beside it.

    Labels are those of "...-labels-idx1-..." beside "...-images-idx3-...". Source of the format: LeCun, Cortes and
    Burges, "The MNIST database of handwritten digits", 1998.

    Raises:
        DataError: a damaged file, no labels, or another number of them.
    """
    beside = labels_beside(path)
    if beside is None and answers:
        raise DataError(f"{path} has no labels; a file named as it is, with labels-idx1 for images-idx3, was expected.")
    labels = None if beside is None else [value.item() for value in _idx_items(beside, dims=1)]
    k = 0
    for k, values in enumerate(_idx_items(path), 1):
        place = Place(path, None, f"item {k}")
        if labels is not None and k > len(labels):
            break
        label = None if labels is None else str(labels[k - 1])
        yield Example(checked(values.reshape(len(values), -1), place), label, place)
    if labels is not None and k != len(labels):
        raise DataError(f"{path} and {beside} have different numbers of items.")


def labels_beside(path: str | Path) -> Path | None:
    """The file of labels that belongs to a file of images; None if there is none."""
    path = Path(path)
    name = path.name.replace("images", "labels")
    for candidate in (name, name.replace("idx3", "idx1").replace("idx2", "idx1")):
        plain = candidate.removesuffix(".gz")
        for found in (path.with_name(plain), path.with_name(f"{plain}.gz")):
            if found.name != path.name and found.is_file():
                return found
    return None


def is_idx_labels(path: str | Path) -> bool:
    """Whether an idx file has one number an item."""
    with opened(path) as file:
        return file.read(4)[3:] == b"\x01"


def _idx_items(path: str | Path, dims: int | None = None) -> Iterator[np.ndarray]:
    try:
        with opened(path) as file:
            head = file.read(4)
            if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in IDX_TYPES or not head[3]:
                raise DataError(f"{path} is no idx file: it begins with {head!r}.")
            sizes = file.read(4 * head[3])
            if len(sizes) < 4 * head[3] or (dims or max(2, head[3])) != head[3]:
                wanted = "one number an item" if dims == 1 else "two dimensions or more"
                raise DataError(f"{path} is damaged or of another shape: {head[3]} dimensions, but {wanted} expected.")
            count, *shape = struct.unpack(f">{head[3]}I", sizes)
            dtype = np.dtype(IDX_TYPES[head[2]])
            size = math.prod(shape) * dtype.itemsize
            if not count or not size or size > LARGEST_BYTES:
                raise DataError(f"{path} says it holds {count} items of shape {shape}; it is empty or damaged.")
            for k in range(count):
                raw = file.read(size)
                if len(raw) < size:
                    raise DataError(f"{path} ends in item {k + 1} of {count}; fetch it again.")
                yield np.frombuffer(raw, dtype).reshape(shape)
    except (gzip.BadGzipFile, zlib.error, EOFError) as reason:
        raise DataError(f"{path} is damaged: it cannot be decompressed ({reason}); fetch it again.") from None
    except OSError as reason:
        raise DataError(f"{path} cannot be read ({reason.strerror or reason}).") from None
