"""
A real browser as the client of a relay: a page may use it only if its origin is allowed.
"""

from __future__ import annotations

from pathlib import Path

from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from .browser import chromium
from .deadline import within
from .listening import listening
from .peers import websockets_server
from .relays import relaying
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
WAITING = """["nothing yet", "open"].includes(document.getElementById("result").textContent)"""


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


@within(120)
async def test_a_page_needs_an_allowed_origin(
    start: Start, start_pool: StartPool, tmp_path: Path
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
    browser = await start(chromium(tmp_path))

    await browser.open(f"{origin}/allowed")
    await browser.when(f"!{WAITING}")
    assert await browser.text("#result") == "got from the page"
    assert open_relay.service.get_stats().messages_from_clients == 1

    await browser.open(f"{origin}/refused")
    await browser.when(f"!{WAITING}")
    assert await browser.text("#result") == "closed 1006"
    assert dict(closed_relay.service.get_stats().refused) == {"origin": 1}
    assert closed_relay.service.get_stats().accepted == 0
