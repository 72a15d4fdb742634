"""Encoded rows that are kept: made once, whole or not at all, and not for ever."""

from __future__ import annotations

import multiprocessing
import os
import time

import numpy as np
import pytest

from headgate.data import DataError, cache


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def made(count=3, calls=None):
    def make():
        if calls is not None:
            calls.append(count)
        return {"n": count}, {"train": ({"x": np.arange(k + 1)} for k in range(count))}

    return make


def entries(folder):
    return {path.parent.name for path in folder.glob(f"**/{cache.ENCODING}")}


def test_rows_are_made_once():
    calls = []
    for _ in range(3):
        encoding, stores = cache.kept("a", made(calls=calls))
        assert encoding == {"n": 3} and [len(row["x"]) for row in stores["train"]] == [1, 2, 3]
    assert calls == [3]


def test_a_name_depends_on_the_facts_alone():
    assert cache.key({"a": 1, "b": [2]}) == cache.key({"b": [2], "a": 1}) != cache.key({"a": 1, "b": [3]})


def test_a_failure_keeps_nothing(folder):
    def fails():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cache.kept("a", fails)
    assert not [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert cache.kept("a", made())[0] == {"n": 3}


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(DataError, match=r"cannot be kept in .*set XDG_CACHE_HOME"):
        cache.kept("a", made())


def _slow(file):
    def make():
        with file.open("a") as out:
            out.write("made\n")
        time.sleep(0.3)
        return made()()

    assert len(cache.kept("a", make)[1]["train"]) == 3


def test_two_processes_make_them_once(tmp_path):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_slow, args=(tmp_path / "calls",)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert (tmp_path / "calls").read_text() == "made\n"


def test_what_nobody_asks_for_is_forgotten(folder):
    names = ("old", "asked for", "new")
    for name in names:
        _, stores = cache.kept(name, made())
    month = time.time() - (cache.DAYS_KEPT + 1) * 24 * 60 * 60
    for path in folder.glob(f"**/{cache.ENCODING}"):
        if path.parent.name != "new":
            os.utime(path, (month, month))
    cache.kept("asked for", made())
    assert entries(folder) == set(names)
    cache.kept("another", made())
    assert entries(folder) == {"asked for", "new", "another"}
    assert len(stores["train"]) == 3
