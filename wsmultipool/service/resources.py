"""
What can be read over HTTP: short answers, and the tree of all that there is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twisted.web.resource import Resource

if TYPE_CHECKING:
    from twisted.web.server import Request

__all__ = ["Answer", "AnswerResource", "Tree"]

NOTHING_ELSE = "default-src 'none'; frame-ancestors 'none'"
"""The C{Content-Security-Policy} of what is no page."""

_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": NOTHING_ELSE,
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "server": "wsmultipool",  # and not which Twisted it is
    "x-content-type-options": "nosniff",
}

# The headers of requests that are looked at: as text, which Twisted takes for UTF-8.
_READ = (b"host", b"accept")


@dataclass(frozen=True, slots=True)
class Answer:
    """
    A whole response.

    @ivar body: the content; text goes as UTF-8.
    @ivar status: the HTTP status code.
    @ivar content_type: the media type.
    @ivar headers: others, which replace the usual ones.
    @since: 0.1.0
    """

    body: str | bytes
    status: int = 200
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] | None = None


class AnswerResource(Resource):
    """
    Answers with what a function returns.

    @since: 0.1.0
    """

    isLeaf = True

    def __init__(self, answer: Callable[[Request], Answer]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._answer = answer

    def render(self, request: Request) -> bytes:
        """
        Give the answer.

        @since: 0.1.0
        """
        answer = self._answer(request)
        body = answer.body.encode() if isinstance(answer.body, str) else answer.body
        request.setResponseCode(answer.status)
        headers = {"content-type": answer.content_type, **(answer.headers or {})}
        for name, value in headers.items():
            request.setHeader(name, value)
        request.setHeader("content-length", str(len(body)))
        return b"" if request.method == b"HEAD" else body


class Tree(Resource):
    """
    Resources by name, to be read and not changed, with the headers that all of them have.

    @param may_be_called: whether to answer to a C{Host} header, C{None} for a request without one.
    @since: 0.1.0
    """

    def __init__(
        self, resources: Mapping[str, Resource], may_be_called: Callable[[str | None], bool]
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        for name, resource in resources.items():
            self.putChild(name.encode(), resource)
        self._may_be_called = may_be_called

    def getChildWithDefault(self, path: bytes, request: Request) -> Resource:
        """
        Find a resource, unless it is not to be had like this.

        @since: 0.1.0
        """
        for name, value in _HEADERS.items():
            request.setHeader(name, value)
        headers = request.requestHeaders
        hosts = headers.getRawHeaders(b"host", [])
        # RFC 9112, section 3.2
        if len(hosts) > 1 or not (hosts or request.clientproto == b"HTTP/1.0"):
            return _refusal(400, "there must be one Host header")
        if not all(value.isascii() for name in _READ for value in headers.getRawHeaders(name, [])):
            return _refusal(400, "only ASCII is possible in headers")
        if not self._may_be_called(request.getHeader("host")):
            return _refusal(
                403,
                "this server listens on a loopback address and answers only to that, to localhost,"
                " and to the host names it was told to allow",
            )
        found: Resource | None = None if request.postpath else self.children.get(path)
        if found is None:
            return _refusal(404, "there is no such page")
        if request.method not in (b"GET", b"HEAD"):
            return _refusal(405, "only GET and HEAD are possible", {"allow": "GET, HEAD"})
        return found


def _refusal(status: int, text: str, headers: Mapping[str, str] | None = None) -> AnswerResource:
    """Answer with a text that repeats nothing of the request."""
    answer = Answer(f"{text}\n", status, headers=headers)
    return AnswerResource(lambda _: answer)
