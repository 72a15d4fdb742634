"""The text that was read, kept in Records: only where somebody asked for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from headgate.inspection.capture import Watch
from headgate.inspection.record import Record

# Tokens, one a step of the first sequence; or several such, by the beginnings of layers' names.
Text = Sequence[str] | Mapping[str, Sequence[str]]


def with_text(records: Mapping[str, Record], seen: Watch, text: Text | None) -> dict[str, Record]:
    """Records with the tokens that their layers read, for those that took as many steps as there are tokens.

    Args:
        records: by layer and direction.
        seen: the watch that they come from.
        text: see `Text`; None for none.

    Raises:
        TypeError: what came are no tokens.
        ValueError: tokens for no layer, or none that took so many steps.
    """
    if text is None:
        return dict(records)
    found, steps = dict(records), {name: int(seen[name].lengths[0]) for name in records}
    for begins, tokens in (text if isinstance(text, Mapping) else {"": text}).items():
        if isinstance(tokens, str) or not all(isinstance(token, str) for token in tokens):
            raise TypeError(f"examine: text={tokens!r:.60} came, but a list of words is needed, one a step.")
        named = [name for name in records if name.startswith(begins)]
        if not named:
            raise ValueError(f"examine: text is given for {begins!r}, but the layers are {', '.join(records)}.")
        fitting = [name for name in named if steps[name] == len(tokens)]
        if not fitting:
            taken = ", ".join(f"{steps[name]} in {name}" for name in named)
            raise ValueError(
                f"examine: text has {len(tokens)} tokens, but the first sequence takes other steps ({taken}); give one "
                "token a step."
            )
        for name in fitting:
            found[name] = replace(found[name], facts={**found[name].facts, "text": list(tokens)})
    return found
