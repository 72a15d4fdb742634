"""The rules of the house that a machine can hold us to: who may import whom, how long things get, what files say."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "headgate"
# From the ground up; an import goes to the same layer or to one further left (DESIGN: the house).
LAYERS = ["cells", "graph", "reference", "engines", "nn", "inspection", "data", "tasks", "training", "report"]
LAYERS += ["verbs", "cli"]
FILE_LINES, FUNCTION_LINES = 400, 60
# The public names at the top of the package may reach everywhere: they load on first use.
SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
OTHERS = ("tests", "examples", "benchmarks")
OURS = sorted([*SOURCES, *(path for name in OTHERS for path in (ROOT / name).rglob("*.py"))])


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0]


def imported(tree: ast.AST) -> set[str]:
    """Modules of ours that a tree imports, as dotted names."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name == "headgate" or name.startswith("headgate.")}


def without_type_checking(tree: ast.Module) -> ast.Module:
    """What runs: imports for annotations alone make no dependency."""
    kept = [n for n in tree.body if not (isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING")]
    return ast.Module(kept, [])


def upward_imports(source: str, layer: str) -> list[str]:
    names = imported(without_type_checking(ast.parse(source)))
    targets = {name.split(".")[1] for name in names if name.count(".")} & set(LAYERS)
    return sorted(target for target in targets if LAYERS.index(target) > LAYERS.index(layer))


def hidden_imports(source: str) -> list[str]:
    """Imports of ours inside functions, which is where cycles hide."""
    functions = (n for n in ast.walk(ast.parse(source)) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef)))
    return sorted({name for function in functions for name in imported(function)})


def long_functions(source: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines = node.end_lineno - node.lineno + 1
            if lines > FUNCTION_LINES:
                found.append(f"{node.name}: {lines} lines")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path):
    if path.parent != PACKAGE:
        assert layer_of(path) in LAYERS, f"{path} stands in no layer of the house"
        assert upward_imports(path.read_text(), layer_of(path)) == []
    assert hidden_imports(path.read_text()) == []


@pytest.mark.parametrize("path", OURS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_small(path):
    source = path.read_text()
    assert source.count("\n") <= FILE_LINES
    assert long_functions(source) == []


def test_the_rules_can_fail():
    """An upward import, a hidden one and a long function are refused."""
    assert upward_imports("from headgate.nn import LSTM", "cells") == ["nn"]
    assert upward_imports("from headgate import report", "nn") == ["report"]
    assert upward_imports("from headgate.cells import Cell", "nn") == []
    assert hidden_imports("def f():\n    import headgate.nn\n") == ["headgate.nn"]
    assert long_functions("def f():\n" + "    x = 1\n" * FUNCTION_LINES) == [f"f: {FUNCTION_LINES + 1} lines"]


def test_no_file_is_a_magnet():
    assert [path for path in SOURCES if path.stem in ("utils", "helpers", "common", "misc")] == []


def test_no_import_cycle_between_modules():
    """Each module can be imported first, in a fresh interpreter, from the leaves of the house up."""
    modules = [".".join(path.relative_to(ROOT / "src").with_suffix("").parts) for path in SOURCES]
    graph = {}
    for name, path in zip(modules, SOURCES, strict=True):
        own = name.removesuffix(".__init__")
        found = imported(without_type_checking(ast.parse(path.read_text())))
        known = {m.removesuffix(".__init__") for m in modules}
        graph[own] = (found & known) - {own, own.rpartition(".")[0]}
    seen: dict[str, int] = {}

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert seen.get(name) != 1, f"cycle: {' -> '.join((*trail, name))}"
        if name in seen:
            return
        seen[name] = 1
        for target in graph.get(name, ()):
            visit(target, (*trail, name))
        seen[name] = 2

    for name in graph:
        visit(name, ())


def test_style():
    """ruff, with the rules of pyproject.toml."""
    folders = [str(ROOT / name) for name in ("src", "tests", "examples", "benchmarks")]
    done = subprocess.run([sys.executable, "-m", "ruff", "check", "--quiet", *folders], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", OURS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_unfinished_work(path):
    if path == Path(__file__).resolve():
        return
    marks = re.findall(r"\b(TODO|FIXME|XXX|HACK|NotImplementedError)\b", path.read_text())
    assert marks == []


def test_every_public_function_is_documented():
    missing = []
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        for node in tree.body:
            public = isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")
            if public and ast.get_docstring(node) is None:
                missing.append(f"{path.relative_to(PACKAGE)}:{node.lineno} {node.name}")
    assert missing == []


def test_importing_headgate_costs_nothing_until_a_name_is_used():
    code = "import sys, headgate; headgate.cells.names(); print(sorted({'torch', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_core_needs_torch_and_numpy_only():
    """Everything below `tasks` imports with nothing else installed."""
    allowed = {"torch", "numpy", "headgate"} | set(sys.stdlib_module_names)
    for path in SOURCES:
        if path.parent == PACKAGE or LAYERS.index(layer_of(path)) >= LAYERS.index("data"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            assert {name.split(".")[0] for name in names} <= allowed, path
