"""
Chromium, without a window, driven by WebDriver (W3C) over HTTP.

Not by Selenium: its calls block, and what the browser shows is served by the reactor of the test.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from .programs import path_of, running
from .requests import eventually, fetch_json

_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


class Browser:
    """
    One window.
    """

    def __init__(self, session: str) -> None:
        self._session = session

    async def open(self, url: str) -> None:
        """Load a page, and wait for that."""
        await self._command("url", {"url": url})

    async def run(self, script: str) -> Any:
        """Run a function's body in the page; return what it returns."""
        return await self._command("execute/sync", {"script": script, "args": []})

    async def when(self, condition: str) -> Any:
        """Wait until an expression is true in the page; return its value."""
        return await eventually(lambda: self.run(f"return {condition}"))

    async def text(self, selector: str) -> str:
        """Return the text that an element shows."""
        text: str = await self.run(f"return document.querySelector({selector!r}).innerText")
        return text

    async def find(self, selector: str) -> list[str]:
        """Return the texts of some elements; works with scripts off, too."""
        using = {"using": "css selector", "value": selector}
        elements = await self._command("elements", using)
        return [
            _value(await fetch_json(f"{self._session}/element/{next(iter(each.values()))}/text"))
            for each in elements
        ]

    async def look_like(self, width: int, scheme: str) -> None:
        """Have a window of some width, and a reader who prefers C{light} or C{dark}."""
        await self._devtools(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        preference = {"name": "prefers-color-scheme", "value": scheme}
        await self._devtools("Emulation.setEmulatedMedia", features=[preference])

    async def set_scripts(self, on: bool) -> None:
        """Let pages loaded from now on run scripts, or not."""
        await self._devtools("Emulation.setScriptExecutionDisabled", value=not on)

    async def log(self) -> list[str]:
        """Return what the browser has complained about since the last time."""
        entries = await self._command("se/log", {"type": "browser"})
        return [entry["message"] for entry in entries]

    async def screenshot(self, file: Path) -> None:
        """Write a picture of the whole page."""
        taken = await self._devtools(
            "Page.captureScreenshot", format="png", captureBeyondViewport=True
        )
        file.write_bytes(b64decode(taken["data"]))

    async def _devtools(self, command: str, **parameters: Any) -> Any:
        return await self._command("goog/cdp/execute", {"cmd": command, "params": parameters})

    async def _command(self, name: str, body: dict[str, Any]) -> Any:
        return _value(await fetch_json(f"{self._session}/{name}", "POST", body))


@asynccontextmanager
async def chromium(directory: Path) -> AsyncIterator[Browser]:
    """
    Run a browser for the length of the context, or skip the test.

    @param directory: for its profile.
    """
    path_of("chromium", "chromium")
    command = path_of("chromedriver", "chromium-driver"), "--port=0"
    options = {
        "goog:chromeOptions": {"args": [*_FLAGS, f"--user-data-dir={directory}"]},
        "goog:loggingPrefs": {"browser": "ALL"},
    }
    async with running(*command) as driver:
        port = (await driver.wrote(r"started successfully on port (\d+)"))[1]
        sessions = f"http://127.0.0.1:{port}/session"
        wanted = {"capabilities": {"alwaysMatch": options}}
        session = _value(await fetch_json(sessions, "POST", wanted))["sessionId"]
        try:
            yield Browser(f"{sessions}/{session}")
        finally:
            await fetch_json(f"{sessions}/{session}", "DELETE")


def _value(answer: Any) -> Any:
    value = answer["value"]
    assert not (isinstance(value, dict) and "error" in value), value
    return value
