"""A page read back, element by element."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "input", "br", "img", "link", "image"}


class Reader(HTMLParser):
    """Elements with their attributes; complains of a tag that is not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self._open: list[str] = []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self._open and self._open.pop() == tag, f"</{tag}> closes something else"

    def close(self):
        super().close()
        assert self._open == []


def read(page: str) -> list[tuple[str, dict]]:
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader.elements
