"""
Server-sent events: what has changed on the status page, for the browsers that show it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IPushProducer
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

if TYPE_CHECKING:
    from twisted.web.server import Request

    from .monitor import Monitor
    from .page import Page, View

__all__ = ["LiveResource"]

MOST_WATCHERS = 32
"""So many browsers may watch at once."""


class LiveResource(Resource):
    """
    A stream of C{text/event-stream}: each event is a JSON object of the parts that have changed, by
    C{id}, as HTML.

    @since: 0.1.0
    """

    isLeaf = True

    def __init__(self, monitor: Monitor, page: Page) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._monitor = monitor
        self._page = page
        self._watchers: set[_Watcher] = set()
        self._latest: tuple[View, dict[str, str]] | None = None

    def render_GET(self, request: Request) -> bytes | int:
        """
        Begin a stream, which ends when the browser goes, or with L{end}.

        @since: 0.1.0
        """
        if len(self._watchers) >= MOST_WATCHERS:
            request.setResponseCode(503)
            request.setHeader("content-type", "text/plain; charset=utf-8")
            return b"too many are watching\n"
        request.setHeader("content-type", "text/event-stream")
        request.setHeader("x-accel-buffering", "no")  # nginx would keep it back
        if request.method == b"HEAD":
            return b""
        watcher = _Watcher(request)
        self._watchers.add(watcher)
        request.notifyFinish().addBoth(lambda _: self._gone(watcher))
        request.registerProducer(watcher, True)
        if not self._monitor_is_on:
            self._monitor.watch(self._show)
        request.write(b"retry: 2000\n\n")
        watcher.show(self._page.parts(self._monitor.view()))
        return NOT_DONE_YET

    @property
    def _monitor_is_on(self) -> bool:
        return len(self._watchers) > 1

    def _gone(self, watcher: _Watcher) -> None:
        self._watchers.discard(watcher)
        if not self._watchers:
            self._monitor.unwatch(self._show)

    def _show(self, view: View) -> None:
        parts = self._page.parts(view)
        for watcher in list(self._watchers):
            watcher.show(parts)

    def end(self) -> None:
        """
        End all streams.

        @since: 0.1.0
        """
        for watcher in list(self._watchers):
            watcher.end()


@implementer(IPushProducer)
class _Watcher:
    """
    One browser.  While it does not read, it is sent nothing: what it gets next is the state of that
    moment, and not all that was missed.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._paused = False
        self._shown: dict[str, str] = {}

    def show(self, parts: dict[str, str]) -> None:
        if self._paused:
            return
        changed = {id: html for id, html in parts.items() if self._shown.get(id) != html}
        self._shown = parts
        self._request.write(b"data: %s\n\n" % json.dumps(changed).encode("ascii"))

    def end(self) -> None:
        self._request.unregisterProducer()
        self._request.finish()

    def pauseProducing(self) -> Any:
        self._paused = True

    def resumeProducing(self) -> Any:
        self._paused = False

    def stopProducing(self) -> Any:
        self._paused = True
