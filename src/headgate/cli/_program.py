"""The program: a typer application with one command a verb, of which only the one asked for is imported."""

from __future__ import annotations

import ast
import gc
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from headgate import __version__
from headgate.cli._refusal import EXTRAS, Refusal, advice

# The base of typer's own errors; whether it comes from click or from within typer depends on typer's version.
_UsageError = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")


def run(arguments: list[str]) -> int:
    """Run one command; errors become one sentence on stderr."""
    given = arguments or ["--help"]
    verb = next((word for word in given if not word.startswith("-")), None)
    who = f"headgate {verb}" if verb in verbs() else "headgate"
    try:
        command = typer.main.get_command(_application(verb, given))
        result = command.main(given, prog_name="headgate", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except Refusal as refusal:
        message = str(refusal)
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        message = advice(error.name)
    except _UsageError as error:
        message = f"{_usage(error)} (see {who} --help)."
    except (KeyboardInterrupt, typer.Abort):
        print(f"\n{who}: stopped.", file=sys.stderr)
        return 130
    print(f"{who}: {message}", file=sys.stderr)
    return 2


def _usage(error: Exception) -> str:
    """What was wrong with the words, and which flag was probably meant."""
    near = getattr(error, "possibilities", None)
    if near:
        return f"{error.message.rstrip('.')}; did you mean {' or '.join(near)}?"
    return error.format_message().rstrip(".")


def verbs() -> dict[str, Path]:
    """Files that are verbs, by name."""
    folder = Path(__file__).parent
    return {path.stem: path for path in sorted(folder.glob("*.py")) if not path.stem.startswith("_")}


def summary(path: Path) -> str:
    """The first line of the docstring of a verb's function, read from the file's text."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name == path.stem:
            return (ast.get_docstring(node) or "").partition("\n")[0]
    raise ValueError(f"{path} is a verb's file, but has no function {path.stem!r}; files that are not begin with '_'.")


def _application(wanted: str | None, given: list[str]) -> typer.Typer:
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.callback()(_headgate)
    for name, path in verbs().items():
        app.command(name)(_function(name, given) if name == wanted else _stub(path))
    return app


def _function(name: str, given: list[str]) -> Callable[..., int]:
    """A verb's function; where its flags hang on what is asked for, as the verb's `with_flags` gives it."""
    module = _imported(f"headgate.cli.{name}")
    with_flags = getattr(module, "with_flags", None)
    return getattr(module, name) if with_flags is None else with_flags(given)


def _imported(name: str) -> ModuleType:
    """A module, without looking for garbage among the hundreds of thousands of objects that importing torch makes.

    That search takes an eighth of the time to a first answer, and what was imported stays.
    """
    searching = gc.isenabled()
    gc.disable()
    try:
        return importlib.import_module(name)
    finally:
        if searching:
            gc.enable()


def _stub(path: Path) -> Callable[[], None]:
    def command() -> None:
        raise RuntimeError(f"{path.stem} was to be imported before it ran.")

    command.__doc__ = summary(path)
    return command


def _show_version(asked: bool) -> None:
    if asked:
        print(f"headgate {__version__}")
        raise typer.Exit()


def _headgate(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Gated recurrent networks at full speed, with the gates in plain view."""
