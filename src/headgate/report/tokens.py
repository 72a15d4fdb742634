"""The text that was read, beneath a picture by time: only where the user asked for it to be kept."""

from __future__ import annotations

from markupsafe import Markup

from headgate.report.layer import Layer

MOST = 4000


def tokens(layer: Layer) -> Markup:
    """A mark a step, which the page lights under the pointer; nothing where no text was kept."""
    if not layer.text:
        return Markup("")
    marks = Markup("").join(
        Markup('<span title="step {}">{}</span>').format(step, token) for step, token in enumerate(layer.text[:MOST])
    )
    return Markup('<div class="tokens" role="group" aria-label="What was read">{}</div>').format(marks)
