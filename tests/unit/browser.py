# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian's Chromium without a window, spoken to by its own debugging protocol through a pair of pipes.

https://chromedevtools.github.io/devtools-protocol/: messages are JSON, each ended by a NUL.
"""

from __future__ import annotations

import base64
import collections
import json
import os
import select
import subprocess
import time
import types
import typing as t
from pathlib import Path

PROGRAM = "chromium"
SECONDS = 60.0
FLAGS = (
    "--headless=new",
    "--remote-debugging-pipe",
    # Tests run as root in containers, where Chromium's own sandbox cannot.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--hide-scrollbars",
    # Grey edges of letters make small pictures.
    "--disable-lcd-text",
    "--force-color-profile=srgb",
)
START = """
import os, sys
from fcntl import F_DUPFD, fcntl
there, back = (fcntl(int(one), F_DUPFD, 10) for one in sys.argv[1:3])
os.dup2(there, 3)
os.dup2(back, 4)
os.execvp(sys.argv[3], sys.argv[3:])
"""
"""The browser reads from the file descriptor 3 and writes to 4."""
KEYS = {"Tab": 9, "Enter": 13, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowRight": 39}

Answer = dict[str, t.Any]


class BrowserError(Exception):
    """What the browser objected to, or that it did not answer."""


class Browser:
    """One browser with one page."""

    def __init__(self, profile: Path) -> None:
        self.requests: list[str] = []
        self.problems: list[str] = []
        self._events: collections.deque[Answer] = collections.deque()
        self._number = 0
        self._rest = b""
        there, self._out = os.pipe()
        self._in, back = os.pipe()
        argv = [PROGRAM, *FLAGS, f"--user-data-dir={profile}", "--window-size=1280,900", "about:blank"]
        self._process = subprocess.Popen(
            ["python3", "-c", START, str(there), str(back), *argv],
            pass_fds=(there, back),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": str(profile)},
        )
        os.close(there)
        os.close(back)
        self._session: str | None = None
        try:
            self._attach()
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def _attach(self) -> None:
        targets = self.say("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        self._session = self.say("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log", "DOM", "Accessibility"):
            self.say(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: types.TracebackType | None) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(20)
        os.close(self._in)
        os.close(self._out)

    # -- the protocol

    def say(self, method: str, **parameters: t.Any) -> Answer:
        """Send a command and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters, **({"sessionId": self._session} if self._session else {})}
        os.write(self._out, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + SECONDS
        while True:
            answer = self._receive(end)
            if answer.get("id") != self._number:
                self._note(answer)
                continue
            if "error" in answer:
                raise BrowserError(f"{method}: {answer['error'].get('message')}")
            return t.cast("Answer", answer["result"])

    def wait_for(self, event: str) -> None:
        """Until an event has come since the last `open()`."""
        end = time.monotonic() + SECONDS
        while not any(known.get("method") == event for known in self._events):
            self._note(self._receive(end))

    def _receive(self, end: float) -> Answer:
        while b"\0" not in self._rest:
            ready, _writable, _failed = select.select([self._in], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise BrowserError(f"{PROGRAM} has not answered for {SECONDS:.0f} s.")
            received = os.read(self._in, 1 << 20)
            if not received:
                raise BrowserError(f"{PROGRAM} has ended.")
            self._rest += received
        message, _end, self._rest = self._rest.partition(b"\0")
        return t.cast("Answer", json.loads(message))

    def _note(self, event: Answer) -> None:
        self._events.append(event)
        method, parameters = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.problems.append(json.dumps(parameters["exceptionDetails"]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.problems.append(parameters["entry"]["text"])

    # -- what a person does

    @property
    def pid(self) -> int:
        """The browser's first process, from which its others descend."""
        return self._process.pid

    def open(self, page: Path, anchor: str = "", then: str = "0") -> float:
        """Open a file; the seconds until it was loaded, and what the expression `then` waits for."""
        self.say("Page.navigate", url="about:blank")
        self._events.clear()
        self.requests.clear()
        self.problems.clear()
        start = time.monotonic()
        self.say("Page.navigate", url=page.as_uri() + anchor)
        while self.run("document.URL + document.readyState") != f"{page.as_uri()}{anchor}complete":
            time.sleep(0.01)
        self.run(then)
        return time.monotonic() - start

    def run(self, script: str) -> t.Any:
        """The value of an expression in the page; the page's own policy does not apply to it."""
        found = self.say("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise BrowserError(json.dumps(found["exceptionDetails"]))
        return found["result"].get("value")

    def click(self, selector: str, number: int = 0) -> None:
        """Press and release the mouse's button in the middle of an element that can be seen."""
        place = self.run(
            f"(() => {{ const found = document.querySelectorAll({json.dumps(selector)})[{number}];"
            " found.scrollIntoView({block: 'center'});"
            " const box = found.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.say("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)

    def press(self, key: str) -> None:
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.say(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=KEYS[key],
                **(text if kind == "keyDown" else {}),
            )

    def write(self, text: str) -> None:
        self.say("Input.insertText", text=text)

    def show_as(self, medium: str = "screen", scheme: str = "light") -> None:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.say("Emulation.setEmulatedMedia", media=medium, features=features)

    # -- what a person perceives

    def texts(self, selector: str) -> list[str]:
        """The texts of all elements that can be seen."""
        found: list[str] = self.run(
            f"Array.from(document.querySelectorAll({json.dumps(selector)}))"
            ".filter(one => one.checkVisibility()).map(one => one.textContent.replace(/\\s+/g, ' ').trim())"
        )
        return found

    def accessible(self) -> list[tuple[str, str]]:
        """The role and the name of each node that a screen reader is given."""
        nodes = self.say("Accessibility.getFullAXTree")["nodes"]
        return [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]

    def screenshot(self, whole: bool = False) -> bytes:
        shot = self.say("Page.captureScreenshot", format="png", captureBeyondViewport=whole, optimizeForSpeed=False)
        return base64.b64decode(shot["data"])

    def print(self) -> bytes:
        return base64.b64decode(self.say("Page.printToPDF", printBackground=True)["data"])
