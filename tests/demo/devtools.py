"""Headless Chromium, driven by its DevTools protocol through a pair of pipes."""

import base64
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.reporting.browser import find_browser

_SECONDS = 60
# The browser reads commands from its file 3 and writes to 4. Files of these numbers may be in use
# in this process.
_START = (
    "import os, sys; read, write, *command = sys.argv[1:]; os.dup2(int(read), 3); "
    "os.dup2(int(write), 4); os.execv(command[0], command)"
)


class Page:
    """A page in a browser.

    Attributes:
        messages: what its console was told, and errors.
    """

    def __init__(self, commands: int, events: int):
        self.messages: list[str] = []
        self._commands, self._events = commands, events
        self._heard = b""
        self._sent = 0
        self._session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "DOM", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: object) -> dict:
        """Calls a method of the protocol, and returns its result."""
        self._sent += 1
        command = {"id": self._sent, "method": method, "params": parameters}
        if self._session:
            command["sessionId"] = self._session
        os.write(self._commands, json.dumps(command).encode() + b"\0")
        until = time.monotonic() + _SECONDS
        while True:
            message = self._next(until)
            if message.get("id") == self._sent:
                assert "error" not in message, message
                return message["result"]
            self._note(message)

    def open(self, url: str, width: int, height: int = 900, *, dark: bool = False) -> None:
        """Opens a page at this width, and waits until it is loaded."""
        self.resize(width, height, dark=dark)
        self.call("Page.navigate", url=url)
        self.wait_for("document.readyState === 'complete' && location.href !== 'about:blank'")

    def resize(self, width: int, height: int = 900, *, dark: bool = False) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def value(self, expression: str):
        """Returns the value of an expression of JavaScript, of which promises are awaited."""
        result = self.call(
            "Runtime.evaluate",
            expression=expression,
            returnByValue=True,
            awaitPromise=True,
            userGesture=True,
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait_for(self, expression: str):
        """Waits until an expression is true, and returns its value."""
        until = time.monotonic() + _SECONDS
        while time.monotonic() < until:
            if value := self.value(expression):
                return value
            time.sleep(0.02)
        raise TimeoutError(f"{expression}; the page shows: {self.value('document.body.innerText')}")

    def choose(self, selector: str, *files: Path) -> None:
        """Chooses files for an input, as its user would in the file picker."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file) for file in files])

    def press(self, key: str) -> None:
        """Presses a key of the keyboard, such as Tab or Enter."""
        code = {"Tab": 9, "Enter": 13, "Escape": 27}[key]
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
                **(text if kind == "keyDown" else {}),
            )

    def screenshot(self, path: Path) -> None:
        """Writes the whole page as a PNG."""
        data = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(data))

    def _note(self, message: dict) -> None:
        if message.get("method") in (
            *("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"),
        ):
            self.messages.append(json.dumps(message["params"]))

    def _next(self, until: float) -> dict:
        while b"\0" not in self._heard:
            left = max(until - time.monotonic(), 0)
            if not select.select([self._events], [], [], left)[0]:
                raise TimeoutError("the browser doesn't answer")
            heard = os.read(self._events, 1 << 20)
            assert heard, "the browser has ended"
            self._heard += heard
        message, _, self._heard = self._heard.partition(b"\0")
        return json.loads(message)


@contextmanager
def browser_page(folder: Path, options: Sequence[str] = ()) -> Iterator[Page]:
    """Starts a browser with a page; the test is skipped where there is none.

    Args:
        folder: for files of the browser.
        options: further options of its command line.
    """
    browser = find_browser()
    from_us, to_browser = os.pipe()
    from_browser, to_us = os.pipe()
    words = [
        *(sys.executable, "-c", _START, str(from_us), str(to_us), browser),
        # As root, as in CI, Chromium has no sandbox.
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
        *("--remote-debugging-pipe", f"--user-data-dir={folder / 'profile'}", *options),
    ]
    with (folder / "browser.log").open("wb") as log:
        process = subprocess.Popen(words, pass_fds=(from_us, to_us), stdout=log, stderr=log)
    os.close(from_us)
    os.close(to_us)
    try:
        yield Page(to_browser, from_browser)
    finally:
        # The browser ends when its pipe does.
        os.close(to_browser)
        os.close(from_browser)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
