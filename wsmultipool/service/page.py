"""
The status page: what a moment of a pool looks like, as parts of HTML.

The same parts make up the whole page, which works with scripts off, and go one by one to the
browsers that watch, whose script puts them in place of what was there.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from .._version import __version__
from .charts import sparkline, throughput
from .history import SPARKLINE, WINDOW, Rates
from .quantities import NONE, bytes_in_words, clock_time, count, duration, per_second

if TYPE_CHECKING:
    from ..stats import ConnectionStats, PoolStats
    from .event_log import Event
    from .history import History

__all__ = ["Page", "View"]

MOST_ROWS = 100
"""So many connections are shown; a browser could not follow thousands of rows every second."""


@dataclass(frozen=True, slots=True)
class View:
    """
    What is to be shown of one moment.

    @ivar name: the pool's.
    @ivar now: seconds since the epoch.
    @ivar stats: the state.
    @ivar history: the last minutes.
    @ivar events: what has happened, newest first.
    @ivar relay: a C{RelayStats}; C{None} without a relay.
    @since: 0.1.0
    """

    name: str
    now: float
    stats: PoolStats
    history: History
    events: Sequence[Event]
    relay: Any = None


class Page:
    """
    Renders L{View}s into the file C{status.html}.

    @ivar policy: the C{Content-Security-Policy}: only this page's own style and script, which are
        known by their hashes.
    @since: 0.1.0
    """

    def __init__(self) -> None:
        self._template = files(__package__).joinpath("status.html").read_text(encoding="utf-8")
        hashes = {tag: self._hash_of(tag) for tag in ("style", "script")}
        self.policy = (
            f"default-src 'none'; style-src {hashes['style']}; script-src {hashes['script']};"
            " connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none';"
            " frame-ancestors 'none'"
        )

    def _hash_of(self, tag: str) -> str:
        content = re.findall(f"<{tag}>(.*?)</{tag}>", self._template, re.DOTALL)
        assert len(content) == 1
        return f"'sha256-{b64encode(sha256(content[0].encode()).digest()).decode()}'"

    def parts(self, view: View) -> dict[str, str]:
        """
        @return: the HTML inside of each element that changes, by its C{id}.
        @since: 0.1.0
        """
        return {
            "status": _status(view.stats),
            "figures": _figures(view),
            "traffic": _traffic(view),
            "connections": _connections(view),
            "events": _events(view.events),
            "updated": _time(view.now),
        }

    def whole(self, view: View) -> str:
        """
        @return: the whole page.
        @since: 0.1.0
        """
        parts = {
            "name": escape(view.name),
            "servers": _servers(view.stats),
            "version": escape(__version__),
            **self.parts(view),
        }
        return re.sub(r"<!--\{(\w+)\}-->", lambda found: parts[found[1]], self._template)


def _servers(stats: PoolStats) -> str:
    urls = sorted({each.url for each in stats.connections})
    more = f" and {len(urls) - 1} more" if len(urls) > 1 else ""
    return f"{escape(urls[0])}{more}" if urls else ""


def _status(stats: PoolStats) -> str:
    total = count(stats.total)
    if stats.open == stats.total:
        tone, text = "good", f"All {total} open" if stats.total > 1 else "Open"
    elif stats.open:
        tone, text = "warn", f"{count(stats.open)} of {total} open"
    elif stats.connecting:
        tone, text = "bad", f"None of {total} open, connecting"
    else:
        tone, text = "bad", f"None of {total} open"
    return f'<span class="pill {tone}">{text}</span>'


def _figures(view: View) -> str:
    stats = view.stats
    latest = view.history.pool[-1] if view.history.pool else Rates(view.now)
    pings = sorted(each.latency for each in stats.connections if each.latency is not None)
    waits = f"oldest {duration(stats.oldest_wait)}" if stats.queued_messages else "nothing waits"
    unconfirmed = count(stats.unconfirmed_messages), bytes_in_words(stats.unconfirmed_bytes)
    figures = [
        ("Sending", per_second(latest.sent), f"{bytes_in_words(latest.sent_bytes)}/s"),
        ("Receiving", per_second(latest.received), f"{bytes_in_words(latest.received_bytes)}/s"),
        ("Queue", count(stats.queued_messages), waits),
        ("Unconfirmed", *unconfirmed),
        ("Dropped", count(stats.dropped_messages), _reasons(stats)),
        (
            "Round trip",
            duration(pings[len(pings) // 2]) if pings else NONE,
            "median of last pings" if pings else "no ping yet",
        ),
    ]
    if view.relay is not None:
        figures.append(("Local clients", count(view.relay.clients), _troubled(view.relay)))
    tones = {"Queue": "warn"} if stats.queued_messages else {}
    return "".join(
        f'<div><dt>{name}</dt><dd><b class="{tones.get(name, "")}">{value}</b>'
        f" <small>{detail}</small></dd></div>"
        for name, value, detail in figures
    )


def _troubled(relay: Any) -> str:
    troubled = [(relay.slow_clients, "slow"), (relay.paused_clients, "held back")]
    return (
        ", ".join(f"{count(number)} {what}" for number, what in troubled if number) or "none slow"
    )


def _reasons(stats: PoolStats) -> str:
    counted = sorted(stats.dropped.items(), key=lambda item: -item[1])
    return escape(", ".join(f"{reason} {count(times)}" for reason, times in counted)) or "none"


def _traffic(view: View) -> str:
    sent = [(each.at, each.sent) for each in view.history.pool]
    received = [(each.at, each.received) for each in view.history.pool]
    return _curve("sent", sent, view.now) + _curve("received", received, view.now)


def _curve(name: str, points: Sequence[tuple[float, float]], now: float) -> str:
    highest = max((value for _, value in points), default=0.0)
    label = f"Messages {name} in the last five minutes: at most {count(highest)} per second"
    chart, top = throughput(name, points, now, WINDOW, label)
    return (
        f'<figure><figcaption class="{name}">{name.capitalize()}</figcaption>'
        f'<div class="scale" aria-hidden="true"><span>{count(top)}</span><span>{_half(top)}</span>'
        f"<span>0</span></div>{chart}"
        '<div class="hours" aria-hidden="true"><span>5 min ago</span><span>now</span></div>'
        "</figure>"
    )


def _half(top: float) -> str:
    return f"{top / 2:g}" if top < 10 else count(top / 2)


# The table of connections

_COLUMNS = ("Connection", "State", "Up", "Round trip", "Traffic", "Sent", "Received", "Buffered")


def _connections(view: View) -> str:
    connections = view.stats.connections
    shown = _worth_seeing(connections)
    several = len({each.url for each in connections}) > 1
    rows = "".join(_row(each, view, several) for each in shown)
    heads = "".join(
        f'<th scope="col" role="columnheader">{column}</th>' for column in (*_COLUMNS, "Last error")
    )
    left_out = len(connections) - len(shown)
    are = "is" if left_out == 1 else "are"
    note = (
        f'<p class="note">{len(shown)} of {count(len(connections))} connections are shown, those'
        f" that are not open first; {count(left_out)} more {are} not.</p>"
        if left_out
        else ""
    )
    return (
        '<table role="table"><caption class="hidden">Every connection of the pool</caption>'
        f'<thead role="rowgroup"><tr role="row">{heads}</tr></thead>'
        f'<tbody role="rowgroup">{rows}</tbody></table>{note}'
    )


def _worth_seeing(connections: Sequence[ConnectionStats]) -> Sequence[ConnectionStats]:
    """Those in trouble, if there are too many for all; in the order of their numbers."""
    worst = sorted(
        connections,
        key=lambda each: (each.state == "open", not each.paused, -each.buffered_bytes, each.id),
    )
    return sorted(worst[:MOST_ROWS], key=lambda each: each.id)


def _row(each: ConnectionStats, view: View, several: bool) -> str:
    points = view.history.connection(each.id)
    rate = bytes_in_words(points[-1][1]) + "/s" if points else NONE
    server = f"<small>{escape(each.url)}</small>" if several else ""
    tone = "past" if each.state == "open" else "bad"
    error = f'<span class="{tone}">{escape(each.last_error)}</span>' if each.last_error else NONE
    cells = (
        _state(each),
        duration(each.uptime),
        duration(each.latency),
        f"<span>{sparkline(points, view.now, SPARKLINE)}<span>{rate}</span></span>",
        count(each.sent_messages),
        count(each.received_messages),
        bytes_in_words(each.buffered_bytes) + (" <small>full</small>" if each.paused else ""),
        error,
    )
    labelled = zip((*_COLUMNS[1:], "Last error"), cells, strict=True)
    return (
        f'<tr role="row"><th scope="row" role="rowheader"><span>{each.id}</span>{server}</th>'
        + "".join(
            f'<td role="cell" class="{_class(label, cell)}" data-label="{label}">{cell}</td>'
            for label, cell in labelled
        )
        + "</tr>"
    )


def _class(label: str, cell: str) -> str:
    return label.lower().replace(" ", "-") + (" none" if cell == NONE else "")


def _state(each: ConnectionStats) -> str:
    detail = ""
    if each.gave_up:
        detail = "gave up"
    elif each.retry_delay is not None:
        detail = f"again in {duration(each.retry_delay) if each.retry_delay >= 1 else 'a moment'}"
    elif each.attempts:
        detail = f"{count(each.attempts)} failed"
    small = f" <small>{detail}</small>" if detail else ""
    return f'<span class="state {each.state}">{each.state}</span>{small}'


# What has happened


def _events(events: Iterable[Event]) -> str:
    lines = "".join(
        f'<li class="{event.tone}">{_time(event.at)} <b>{escape(event.subject)}</b>'
        f" <span>{escape(event.text)}"
        + (f" <small>{count(event.times)} times</small>" if event.times > 1 else "")
        + "</span></li>"
        for event in events
    )
    return lines or '<li class="plain">Nothing has happened yet.</li>'


def _time(seconds: float) -> str:
    return f"<time>{clock_time(seconds)}</time>"
