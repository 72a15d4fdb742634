"""A user's own cell, compiled once and kept."""

import resource
import subprocess
import sys

import pytest
import torch

import headgate as hg
from headgate.cells import Cell, State, sigmoid, tanh
from headgate.engines.cpu import library, own_cells, printed

pytestmark = pytest.mark.skipif(library.library() is None, reason="the library was not built")


class Leaky(Cell):
    """h = a h + (1 - a) tanh(x + U h), with a gate a."""

    gates = "a n"
    states = "h"

    def step(self, x, U, s):
        a = sigmoid(x.a + U.a(s.h))
        return State(h=a * s.h + (1.0 - a) * tanh(x.n + U.n(s.h)))


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for kept in (own_cells.compiled, printed.point_of):
        kept.cache_clear()
    yield tmp_path / "headgate"
    for kept in (own_cells.compiled, printed.point_of):
        kept.cache_clear()


def test_it_runs_compiled_and_agrees_with_eager(empty_cache):
    own, eager = hg.Recurrent(Leaky, 5, 19), hg.Recurrent(Leaky, 5, 19, engine="eager")
    eager.load_state_dict(own.state_dict())
    assert "engine=cpu" in repr(own)
    x = torch.randn(6, 3, 5)
    torch.testing.assert_close(own(x), eager(x))
    assert [path.suffix for path in sorted(empty_cache.iterdir())] == [".lock", ".so"]


def test_it_is_compiled_once(empty_cache, monkeypatch):
    built, build = [], own_cells._build
    monkeypatch.setattr(own_cells, "_build", lambda *given: built.append(given) or build(*given))
    for _ in range(2):
        own_cells.compiled(Leaky())
        own_cells.compiled.cache_clear()
    assert len(built) == 1


def test_two_processes_that_race(empty_cache):
    code = (
        "import sys; sys.path.insert(0, 'tests')\n"
        "import torch, headgate as hg\n"
        "from engines.test_own_cells import Leaky\n"
        "print(hg.Recurrent(Leaky, 5, 19)(torch.ones(6, 3, 5))[0].shape)\n"
    )
    both = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert all("[6, 3, 19]" in one.communicate(timeout=120)[0] for one in both)
    assert len(list(empty_cache.glob("*.so"))) == 1
    assert not [path for path in empty_cache.iterdir() if path.is_dir()]


def test_without_a_compiler_another_engine_runs_and_it_is_said_once(empty_cache, monkeypatch):
    monkeypatch.setattr(own_cells, "compiler", lambda: None)
    own_cells.say_once.cache_clear()
    with pytest.warns(UserWarning, match="Leaky is not among the cells compiled beforehand"):
        layer = hg.Recurrent(Leaky, 5, 19)
        assert "engine=eager" in repr(layer)
    layer(torch.randn(6, 3, 5))
    with pytest.raises(RuntimeError, match=r'engine="cpu" cannot run here: Leaky .*no C\+\+ compiler.*"eager"'):
        hg.Recurrent(Leaky, 5, 19, engine="cpu")(torch.randn(6, 3, 5))


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "headgate").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    own_cells.compiled.cache_clear()
    with pytest.raises(RuntimeError, match="set XDG_CACHE_HOME to a folder that can"):
        own_cells.compiled(Leaky())


def test_a_compiler_that_fails(empty_cache, monkeypatch, tmp_path):
    broken = tmp_path / "cc"
    broken.write_text("#!/bin/sh\necho no such luck >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(own_cells, "compiler", lambda: str(broken))
    with pytest.raises(RuntimeError, match=r"Leaky could not be compiled by .*no such luck"):
        own_cells.compiled(Leaky())
    assert not list(empty_cache.glob("*.so"))


def test_a_cell_is_ready_in_seconds(empty_cache):
    """Processor time, which a busy machine does not lengthen."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    own_cells.compiled(Leaky())
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert 0 < spent.ru_utime + spent.ru_stime - before.ru_utime - before.ru_stime < 60
