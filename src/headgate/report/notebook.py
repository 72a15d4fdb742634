"""A Record's charts in a notebook: the whole page in a frame that neither sees nor changes the notebook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import escape

from headgate.inspection.record import Record
from headgate.report.watch_page import TITLE, gather, render

HEIGHT = 900


@dataclass(frozen=True)
class Shown:
    """What a notebook draws for the last line of a cell.

    Attributes:
        page: the page's text.
        height: of the frame, in pixels.
    """

    page: str
    height: int = HEIGHT

    def _repr_html_(self) -> str:
        # Scripts run, but in an origin of their own: no cookies, no notebook, no network.
        return (
            f'<iframe sandbox="allow-scripts" title="headgate watch" width="100%" height="{self.height}" '
            f'style="border:0" srcdoc="{escape(self.page)}"></iframe>'
        )

    def __repr__(self) -> str:
        return f"Shown({len(self.page):,} characters; the last line of a notebook's cell draws it)"


def show(
    records: str | Path | Record | Sequence[Record | str | Path],
    *,
    title: str = TITLE,
    plain: bool = True,
    height: int = HEIGHT,
) -> Shown:
    """The watch's page for a notebook.

    Args:
        records: as for `write_watch_report`.
        title, plain: likewise.
        height: of the frame, in pixels.

    Raises:
        ValueError: no Record there.
    """
    return Shown(render(gather(records, "show"), title=title, plain=plain), height)
