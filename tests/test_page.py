"""
Tests for L{wsmultipool.service.page}: what the status page says, and that it can be trusted.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any

import pytest

from wsmultipool.service.event_log import Event
from wsmultipool.service.history import History
from wsmultipool.service.page import MOST_ROWS, Page, View
from wsmultipool.stats import ConnectionStats, PoolStats

from .test_stats import CONNECTING, OPEN, POOL

EVIL = "<script>alert('x')</script>\"&"


class Outline(HTMLParser):
    """
    The tags of a page, checked to be balanced, and what they refer to.
    """

    EMPTY = frozenset({"meta", "link", "path", "polyline", "polygon"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.styled: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "src"):
                self.links.append(value or "")
            if name == "style" or name.startswith("on"):
                self.styled.append(name)
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.EMPTY:
            assert self.open.pop() == tag


def view(
    connections: Sequence[ConnectionStats] = POOL.connections, name: str = "feed", **of_pool: Any
) -> View:
    """
    Make a view of a pool with these connections.
    """
    states = [each.state for each in connections]
    stats: PoolStats = replace(
        POOL,
        connections=tuple(connections),
        total=len(connections),
        open=states.count("open"),
        connecting=states.count("connecting"),
        closed=len(states) - states.count("open") - states.count("connecting"),
        **of_pool,
    )
    return View(name, 1000.0, stats, History(), of_pool.pop("events", ()))


def outline(html: str) -> Outline:
    """
    Parse a page.
    """
    found = Outline()
    found.feed(html)
    assert found.open == []
    return found


def test_the_page_is_whole_and_well_formed() -> None:
    """Every place is filled, every tag closed, and every part has its place."""
    page = Page()
    shown = outline(page.whole(view()))
    assert "<!--{" not in page.whole(view())
    assert set(page.parts(view())) <= set(shown.ids)
    assert len(shown.ids) == len(set(shown.ids))
    assert shown.tags.count("h1") == 1
    assert {"caption", "noscript", "main", "header", "footer"} <= set(shown.tags)


def test_the_page_needs_nothing_from_elsewhere() -> None:
    """No address of another server, no path from the root: a proxy may put it anywhere."""
    html = Page().whole(view())
    links = outline(html).links
    assert links.pop(0).startswith("data:image/svg+xml,")
    assert set(links) == {"./", "metrics", "stats.json", "healthz", "readyz"}
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", html) == []
    assert "@import" not in html
    assert "url(" not in html


def test_the_policy_allows_just_its_own_script_and_style() -> None:
    """By their hashes: what somebody else gets into the page does not run."""
    page = Page()
    html = page.whole(view())
    for tag in ("script", "style"):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = b64encode(sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in page.policy
    assert page.policy.startswith("default-src 'none'; ")
    assert "unsafe" not in page.policy
    assert outline(html).styled == []


@pytest.mark.parametrize(
    "shown",
    [
        view(name=EVIL),
        view([replace(OPEN, last_error=EVIL)]),
        view([replace(OPEN, url=f"ws://x/{EVIL}"), CONNECTING]),
        view(dropped={EVIL: 1}),
        replace(view(), events=[Event(0, EVIL, tone="bad")]),
    ],
)
def test_what_comes_from_outside_is_only_text(shown: View) -> None:
    """Names, errors and addresses are shown as they are, and never run."""
    html = Page().whole(shown)
    assert EVIL not in html
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;&quot;&amp;" in html
    assert outline(html).tags.count("script") == 1


@pytest.mark.parametrize(
    ("connections", "words"),
    [
        ([OPEN], ["good", "Open"]),
        ([OPEN, replace(OPEN, id=1)], ["good", "All 2 open"]),
        ([OPEN, CONNECTING], ["warn", "1 of 2 open"]),
        ([CONNECTING], ["bad", "None of 1 open, connecting"]),
        ([replace(CONNECTING, state="closed")], ["bad", "None of 1 open"]),
    ],
)
def test_the_state_of_the_pool_is_said_in_words(
    connections: list[ConnectionStats], words: list[str]
) -> None:
    """Colour is not all that tells good from bad."""
    status = Page().parts(view(connections))["status"]
    assert re.findall('pill (.*?)">(.*?)<', status) == [tuple(words)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"state": "closed", "retry_delay": 4.2}, "again in 4.2 s"),
        ({"state": "closed", "retry_delay": 0.2}, "again in a moment"),
        ({"state": "closed", "gave_up": True, "attempts": 7}, "gave up"),
        ({"state": "connecting", "attempts": 3}, "3 failed"),
        ({"buffered_bytes": 70000, "paused": True}, "70.0 kB <small>full</small>"),
        ({"last_error": "the connection was dropped"}, "the connection was dropped"),
        ({"latency": 0.0021}, "2.1 ms"),
    ],
)
def test_each_connection_says_how_it_is(changes: dict[str, Any], words: str) -> None:
    """When it tries again, whether it gave up, is full, and what went wrong last."""
    html = Page().parts(view([replace(OPEN, **changes)]))["connections"]
    assert words in html.replace("\N{THIN SPACE}", " ")


def test_servers_are_named_where_there_are_several() -> None:
    """One server stands at the top of the page; several stand with their connections."""
    one = Page().whole(view([OPEN]))
    two = Page().whole(view([OPEN, replace(OPEN, id=1, url="wss://other.example/")]))
    assert one.count("wss://example.com/feed") == 1
    assert two.count("wss://example.com/feed") == 2
    assert two.count("wss://other.example/") == 1
    assert "and 1 more" in two


def test_of_very_many_connections_those_in_trouble_are_shown() -> None:
    """The page stays small; how many are left out is said."""
    many = [replace(OPEN, id=id) for id in range(1000)]
    many[700] = replace(CONNECTING, id=700)
    many[800] = replace(OPEN, id=800, paused=True)
    html = Page().parts(view(many))["connections"]
    shown = [int(id) for id in re.findall(r'rowheader"><span>(\d+)<', html)]
    assert len(shown) == MOST_ROWS
    assert shown == sorted(shown)
    assert shown[-2:] == [700, 800]
    assert f"{1000 - MOST_ROWS} more are not" in html


def test_a_pool_without_events_says_so() -> None:
    """An empty list would look broken."""
    assert "Nothing has happened yet." in Page().parts(view())["events"]


def test_what_happened_again_and_again_is_counted() -> None:
    """One line, with how often."""
    events = [Event(3600, "refused", 12, [3], "bad")]
    html = Page().parts(replace(view(), events=events))["events"]
    assert re.search("01:00:00</time> <b>Connection 3</b> .*refused .*12 times", html)
