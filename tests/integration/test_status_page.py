"""
The status page in a real browser, of a pool that is connected to a real server.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from twisted.internet.endpoints import TCP4ServerEndpoint

from wsmultipool import ReconnectingPoolFactory
from wsmultipool.service.web import StatusService

from .autobahn_server import echo_factory
from .browser import Browser, chromium
from .deadline import within
from .listening import Server, listening, port_of
from .running_reactor import reactor
from .starting import StartPool

APPEARANCES = [(width, scheme) for width in (390, 1280) for scheme in ("light", "dark")]
# Somebody who wants to look at the page sets this to a directory.
PICTURES = os.environ.get("WSMULTIPOOL_SCREENSHOTS")

# All text against what is behind it, by WCAG 2.1 (1.4.3): the lowest contrast there is.
LOWEST_CONTRAST = """
const luminance = (rgb) => {
  const linear = (c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const [r, g, b] = rgb.map((c) => linear(c / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const parse = (color) => color.match(/[\\d.]+/g).map(Number);
const behind = (element) => {
  for (; element; element = element.parentElement) {
    const color = parse(getComputedStyle(element).backgroundColor);
    if (color.length === 3 || color[3] === 1) return color.slice(0, 3);
  }
};
let lowest = [99, ""];
for (const element of document.querySelectorAll("body *:not(script, noscript)")) {
  const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  if (!own) continue;
  const [one, two] = [parse(getComputedStyle(element).color), behind(element)].map(luminance);
  const contrast = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
  if (contrast < lowest[0]) lowest = [contrast, element.outerHTML];
}
return lowest;
"""


class PatientPool(ReconnectingPoolFactory):
    """
    Waits before each attempt for as long as it may, so that the page has the time to show it.
    """

    _uniform = staticmethod(lambda low, high: high)


@asynccontextmanager
async def shown(pool: ReconnectingPoolFactory) -> AsyncIterator[str]:
    """
    Serve a pool's page for the length of the context; yield its URL.
    """
    endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
    service = StatusService(pool, endpoint, reactor=reactor)
    port = await service.listen()
    service.startService()
    try:
        yield f"http://127.0.0.1:{port_of(port)}/"
    finally:
        await service.stopService()


async def picture(browser: Browser, name: str) -> None:
    """
    Keep how the page looks, for those who want to see it.
    """
    if PICTURES is not None:
        await browser.screenshot(Path(PICTURES) / f"{name}.png")


async def check_readability(browser: Browser, width: int) -> None:
    """
    Nothing sticks out at the side, and everything can be read.
    """
    assert await browser.run("return document.documentElement.scrollWidth") <= width
    contrast, element = await browser.run(LOWEST_CONTRAST)
    assert contrast >= 4.5, element


async def watch_a_connection_die_and_come_back(
    browser: Browser, server: Server, scheme: str, width: int
) -> None:
    """
    With the page open, reset one of three connections.
    """
    await browser.when("document.querySelector('#live').className === 'live on'")
    await browser.when("document.querySelector('#status').innerText === 'All 3 open'")
    await picture(browser, f"{width}-{scheme}-open")
    # This very node stays: the page is changed, and not built anew.
    await browser.run("document.querySelector('#connections table').kept = true")
    dropped = "document.querySelectorAll('#events .bad').length"
    before = await browser.run(f"return {dropped}")
    server.connections[0].reset()
    await browser.when("document.querySelector('#status').innerText === '2 of 3 open'")
    await browser.when(f"{dropped} > {before}")
    await browser.when("document.querySelector('#connections').innerText.includes('closed')")
    await picture(browser, f"{width}-{scheme}-lost")
    await browser.when("document.querySelector('#status').innerText === 'All 3 open'")
    assert "dropped" in await browser.text("td.last-error .past")
    assert await browser.run("return document.querySelector('#connections table').kept")


@within(120)
async def test_the_page_shows_a_connection_die_and_come_back(
    stack: AsyncExitStack, tmp_path: Path
) -> None:
    """Wide and narrow, light and dark: it is live, readable, and asks nobody else for anything."""
    server = await stack.enter_async_context(listening(echo_factory()))
    pool = PatientPool(server.url, pool_size=3, reconnect_interval=2, name="feed <b>", min_uptime=0)
    stack.push_async_callback(pool.close)
    await pool.when_ready()
    url = await stack.enter_async_context(shown(pool))
    browser = await stack.enter_async_context(chromium(tmp_path))
    for width, scheme in APPEARANCES:
        await browser.look_like(width, scheme)
        await browser.open(url)
        assert await browser.text("h1") == "feed <b>"
        await pool.send("traffic")
        await watch_a_connection_die_and_come_back(browser, server, scheme, width)
        await check_readability(browser, width)
    requested = await browser.run(
        "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    )
    assert all(name.startswith((url, "data:")) for name in requested)
    assert await browser.log() == []


@within(60)
async def test_without_scripts_the_page_shows_the_moment_it_was_loaded(
    stack: AsyncExitStack, start_pool: StartPool, tmp_path: Path
) -> None:
    """The table is there, and the page says that it stands still."""
    server = await stack.enter_async_context(listening(echo_factory()))
    pool, _ = start_pool(server.url, pool_size=2)
    await pool.when_ready()
    url = await stack.enter_async_context(shown(pool))
    browser = await stack.enter_async_context(chromium(tmp_path))
    await browser.look_like(390, "light")
    await browser.set_scripts(False)
    await browser.open(url)
    await picture(browser, "without-scripts")
    rows = await browser.find("tbody tr")
    assert len(rows) == 2
    assert all("open" in row for row in rows)
    assert "Scripts are off" in (await browser.find("noscript"))[0]


@within(60)
async def test_the_page_says_when_its_server_is_gone(
    stack: AsyncExitStack, start_pool: StartPool, tmp_path: Path
) -> None:
    """What is seen then is old, and the page does not hide that."""
    server = await stack.enter_async_context(listening(echo_factory()))
    pool, _ = start_pool(server.url, pool_size=2)
    await pool.when_ready()
    browser = await stack.enter_async_context(chromium(tmp_path))
    async with shown(pool) as url:
        await browser.open(url)
        await browser.when("document.querySelector('#live').className === 'live on'")
    await browser.when("document.querySelector('#live').className === 'live off'")
    assert (await browser.text("#live")).startswith("not connected; as of")
