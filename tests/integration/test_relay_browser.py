"""
A real browser as the client of a relay: a page may use it only if its origin is allowed.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from twisted.internet.utils import getProcessOutputAndValue
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from .deadline import within
from .listening import listening
from .peers import websockets_server
from .relays import relaying
from .running_reactor import reactor
from .starting import Start, StartPool

PAGE = """<!doctype html>
<title>A page</title>
<p id="result">nothing yet</p>
<script>
    const result = document.getElementById("result");
    const socket = new WebSocket("ws://127.0.0.1:%d/");
    socket.onopen = () => { result.textContent = "open"; socket.send("from the page"); };
    socket.onmessage = (event) => { result.textContent = "got " + event.data; };
    socket.onclose = (event) => {
        if (result.textContent === "nothing yet") {
            result.textContent = "closed " + event.code;
        }
    };
</script>
"""
CHROMIUM = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--virtual-time-budget=5000",
    "--dump-dom",
]


class Pages(Resource):
    """
    Pages with a script that connects to a relay.

    @ivar texts: by path.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.texts: dict[bytes, str] = {}

    def render_GET(self, request: Request) -> bytes:
        text = self.texts.get(request.path)
        if text is None:  # browsers ask for an icon as well
            request.setResponseCode(404)
            return b""
        request.setHeader(b"Content-Type", b"text/html; charset=utf-8")
        return text.encode()


@pytest.fixture(scope="module")
def chromium() -> str:
    """
    The path of Chromium; without it the test is skipped, but never in CI.
    """
    path = shutil.which("chromium")
    if path is None:
        message = "chromium not found: no tests with a browser"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return path


async def shown_by(chromium: str, url: str, profile: Path) -> str:
    """Return what a page contains when its script has run."""
    out, err, code = await getProcessOutputAndValue(
        chromium,
        [*CHROMIUM, f"--user-data-dir={profile}", url],
        env=dict(os.environ),
        reactor=reactor,
    )
    assert code == 0, err.decode("utf-8", "replace")
    text: str = out.decode()
    return text


@within(120)
async def test_a_page_needs_an_allowed_origin(
    chromium: str, start: Start, start_pool: StartPool, tmp_path: Path
) -> None:
    """The same page, once allowed and once not: the browser itself says where it is from."""
    server = await start(websockets_server())
    pool, _ = start_pool(server.url)
    pages = Pages()
    page = await start(listening(Site(pages)))
    origin = f"http://127.0.0.1:{page.port}"
    open_relay = await start(relaying(pool, allow_origins=(origin,)))
    closed_relay = await start(relaying(pool, allow_origins=("https://other.example",)))
    pages.texts = {b"/allowed": PAGE % open_relay.port, b"/refused": PAGE % closed_relay.port}

    shown = await shown_by(chromium, f"{origin}/allowed", tmp_path / "one")
    assert '<p id="result">got from the page</p>' in shown
    assert open_relay.service.get_stats().messages_from_clients == 1

    shown = await shown_by(chromium, f"{origin}/refused", tmp_path / "two")
    assert '<p id="result">closed 1006</p>' in shown
    assert dict(closed_relay.service.get_stats().refused) == {"origin": 1}
    assert closed_relay.service.get_stats().accepted == 0
