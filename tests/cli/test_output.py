"""Results arrive whole or not at all."""

from __future__ import annotations

import pytest

from headgate.cli._output import check, delivery
from headgate.cli._refusal import Refusal


def everything(folder) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_what_was_written_is_there_and_nothing_else(tmp_path):
    with delivery(tmp_path / "a" / "b") as folder:
        (folder / "page").write_text("new")
        (folder / "deep").mkdir()
        (folder / "deep" / "file").write_text("new")
        assert not (tmp_path / "a" / "b" / "page").exists()
    assert everything(tmp_path) == {"a/b/page": "new", "a/b/deep/file": "new"}


def test_an_earlier_run_is_replaced_and_neighbours_are_kept(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "old").write_text("old")
    (tmp_path / "notes").write_text("mine")
    with delivery(tmp_path) as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "file").write_text("new")
    assert everything(tmp_path) == {"deep/file": "new", "notes": "mine"}


@pytest.mark.parametrize("error", (KeyboardInterrupt, ValueError))
def test_an_error_half_way_leaves_everything_as_it_was(tmp_path, error):
    (tmp_path / "page").write_text("old")
    with pytest.raises(error), delivery(tmp_path) as folder:
        (folder / "page").write_text("new")
        raise error
    with pytest.raises(error), delivery(tmp_path / "new" / "folder") as folder:
        (folder / "page").write_text("new")
        raise error
    assert everything(tmp_path) == {"page": "old"} and sorted(p.name for p in tmp_path.iterdir()) == ["page"]


def test_a_full_disk_is_told(tmp_path):
    with pytest.raises(Refusal, match="cannot be written"), delivery(tmp_path / "new"):
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_checking_leaves_no_trace(tmp_path):
    check(tmp_path / "new" / "folder", "mark")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mark").write_text("")
    (tmp_path / "other").write_text("")
    check(tmp_path, "mark")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mark", "other"]
    with pytest.raises(Refusal, match="holds other files"):
        check(tmp_path, "another mark")
