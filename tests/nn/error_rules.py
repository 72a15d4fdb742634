"""What every complaint of a layer keeps to: who, what came, what was expected, and nothing else around it."""

from __future__ import annotations

import re

import pytest

LONGEST = 330
# What Python or torch says when a mistake got past the checks, or a value printed for a programmer alone.
NOISE = re.compile(
    r"0x[0-9a-f]{6}|<class |object has no attribute|not supported between|unexpected keyword|dispatch_key"
)


def complaint(call, kind: type[Exception], who: str) -> str:
    """The message of a call that must be refused, after the rules that hold for all of them.

    Args:
        call: what a user wrote.
        kind: the very class, as torch.nn's where it has one.
        who: what the message begins with.
    """
    with pytest.raises(kind) as caught:
        call()
    error = caught.value
    message = str(error.args[0]) if isinstance(error, KeyError) else str(error)
    assert type(error) is kind, f"{type(error).__name__} instead of {kind.__name__}: {message}"
    assert message.startswith(who), f"does not begin with {who!r}: {message}"
    assert "\n" not in message, f"more than one line: {message}"
    assert len(message) <= LONGEST, f"{len(message)} characters: {message}"
    assert not NOISE.search(message), f"not written for a user: {message}"
    assert error.__cause__ is None, "chained to another error"
    assert error.__context__ is None or error.__suppress_context__, "raised while another error was handled"
    return message


def assert_says(message: str, *parts: str) -> None:
    missing = [part for part in parts if part not in message]
    assert not missing, f"does not say {missing}: {message}"
