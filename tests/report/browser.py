"""A real Chromium, headless, driven over its own debugging pipe; nothing to install beside the browser itself."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --no-default-browser-check "
    "--disable-extensions --disable-background-networking --hide-scrollbars --remote-debugging-pipe"
)
PATIENCE_S = 60.0
KEYS = {"Enter": 13, " ": 32, "Tab": 9, "Home": 36, "End": 35, "Escape": 27, "PageUp": 33, "PageDown": 34}
KEYS |= {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
TEXTS = {"Enter": "\r", " ": " "}


class Browser:
    """One process; `open` gives a tab."""

    def __init__(self, program: str) -> None:
        self._profile = tempfile.mkdtemp(prefix="headgate-browser-")
        # The pipes' ends are first moved above 9, so that setting up 3 and 4 cannot overwrite one of them.
        theirs_in, self._to = (_above_nine(end) for end in os.pipe())
        self._from, theirs_out = (_above_nine(end) for end in os.pipe())
        nowhere = [(os.POSIX_SPAWN_OPEN, k, os.devnull, os.O_RDWR, 0) for k in (0, 1, 2)]
        pipes = [(os.POSIX_SPAWN_DUP2, theirs_in, 3), (os.POSIX_SPAWN_DUP2, theirs_out, 4)]
        arguments = [program, *FLAGS.split(), f"--user-data-dir={self._profile}", "about:blank"]
        self._process = os.posix_spawn(program, arguments, os.environ, file_actions=[*nowhere, *pipes], setpgroup=0)
        os.close(theirs_in)
        os.close(theirs_out)
        self._kept, self._number, self._events = b"", 0, {}

    def open(self, path: str | Path, *, width: int = 1280, height: int = 900) -> Page:
        """A new tab that shows a file, loaded."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, target, session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.call(f"{domain}.enable")
        page.resize(width, height)
        page.go(path)
        return page

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """One command of the DevTools protocol, and its answer; events that come meanwhile are kept by session."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        text = json.dumps({**message, "sessionId": session} if session else message).encode() + b"\0"
        while text:
            text = text[os.write(self._to, text) :]
        while (answer := self._next()).get("id") != self._number:
            pass
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error'].get('message')}")
        return answer["result"]

    def events(self, session: str) -> list[dict[str, Any]]:
        """What has happened in a tab so far."""
        return self._events.setdefault(session, [])

    def wait(self, session: str, method: str, since: int) -> None:
        """Until a tab has told of an event, after its first `since`."""
        while not any(event["method"] == method for event in self.events(session)[since:]):
            self._next()

    def close(self) -> None:
        with contextlib.suppress(OSError, RuntimeError, TimeoutError):
            self.call("Browser.close")
        for end in (self._to, self._from):
            os.close(end)
        for _ in range(50):
            if os.waitpid(self._process, os.WNOHANG)[0]:
                break
            time.sleep(0.1)
        else:
            os.killpg(self._process, signal.SIGKILL)
            os.waitpid(self._process, 0)
        shutil.rmtree(self._profile, ignore_errors=True)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._kept:
            if not select.select([self._from], [], [], PATIENCE_S)[0]:
                raise TimeoutError(f"the browser said nothing for {PATIENCE_S:g} s")
            piece = os.read(self._from, 1 << 20)
            if not piece:
                raise RuntimeError("the browser has gone")
            self._kept += piece
        text, _, self._kept = self._kept.partition(b"\0")
        message = json.loads(text)
        if "method" in message:
            self.events(message.get("sessionId", "")).append(message)
        return message


class Page:
    """One tab."""

    def __init__(self, browser: Browser, target: str, session: str) -> None:
        self._browser, self._target, self._session = browser, target, session

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._browser.call(method, self._session, **parameters)

    def go(self, path: str | Path) -> None:
        """Show a file, or an address, and wait until it is loaded."""
        address = str(path) if "://" in str(path) else Path(path).resolve().as_uri()
        before = len(self._browser.events(self._session))
        self.call("Page.navigate", url=address)
        self._browser.wait(self._session, "Page.loadEventFired", before)

    def resize(self, width: int, height: int = 900, scale: float = 1.0) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)

    def prefer(self, scheme: str = "light", *, media: str = "", motion: str = "no-preference") -> None:
        """The reader's wishes: "dark" or "light", media "print", motion "reduce"."""
        wishes = {"prefers-color-scheme": scheme, "prefers-reduced-motion": motion}
        features = [{"name": name, "value": value} for name, value in wishes.items()]
        self.call("Emulation.setEmulatedMedia", media=media, features=features)

    def run(self, script: str) -> Any:
        """The value of an expression (JSON types), promises awaited; an exception there is one here."""
        options = {"returnByValue": True, "awaitPromise": True, "userGesture": True}
        answer = self.call("Runtime.evaluate", expression=script, **options)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise RuntimeError(details.get("exception", {}).get("description", details["text"]))
        return answer["result"].get("value")

    def click(self, selector: str) -> None:
        """A mouse click in the middle of the first element that a selector finds, scrolled into view."""
        find = f"document.querySelector({json.dumps(selector)})"
        # Instant, whatever the page's own style asks for: a click must not land where something was on its way.
        self.run(f"{find}.scrollIntoView({{block: 'center', inline: 'center', behavior: 'instant'}})")
        place = f"(r => [r.x + r.width / 2, r.y + r.height / 2])({find}.getBoundingClientRect())"
        self.click_at(*self.run(place))

    def click_at(self, x: float, y: float) -> None:
        """A mouse click at a place in the window, in CSS pixels."""
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            button = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **button)

    def press(self, key: str, *, shift: bool = False) -> None:
        """A key as the keyboard sends it, to what has the focus: "ArrowRight", "Tab", "Enter", " ", "x"."""
        code = KEYS.get(key, ord(key.upper()) if len(key) == 1 else 0)
        text = TEXTS.get(key, key if len(key) == 1 else "")
        common = {"key": key, "code": key, "windowsVirtualKeyCode": code, "modifiers": 8 if shift else 0}
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def errors(self) -> list[str]:
        """Everything the page complained of: exceptions, console errors and warnings, the browser's own remarks."""
        self.run("0")
        found = []
        for event in self._browser.events(self._session):
            content = event.get("params", {})
            if event["method"] == "Runtime.exceptionThrown":
                details = content["exceptionDetails"]
                found.append(details.get("exception", {}).get("description", details["text"]))
            elif event["method"] == "Runtime.consoleAPICalled" and content["type"] in ("error", "warning", "assert"):
                found.append(" ".join(str(part.get("value", part.get("description"))) for part in content["args"]))
            elif event["method"] == "Log.entryAdded" and content["entry"]["level"] in ("error", "warning"):
                found.append(content["entry"]["text"])
        return found

    def requests(self) -> list[str]:
        """Addresses the page asked for, the file itself included."""
        events = self._browser.events(self._session)
        return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]

    def picture(self, path: str | Path, *, whole: bool = False) -> Path:
        """A PNG of the window, or of the whole page."""
        image = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        Path(path).write_bytes(base64.b64decode(image["data"]))
        return Path(path)

    def close(self) -> None:
        self._browser.call("Target.closeTarget", targetId=self._target)


def _above_nine(end: int) -> int:
    moved = fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(end)
    return moved


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium for the whole session; tests that ask for it are skipped where none is installed."""
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"no browser is installed (looked for {', '.join(NAMES)})")
    started = Browser(program)
    yield started
    started.close()
