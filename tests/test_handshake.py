"""
Tests for L{wsmultipool.handshake}.
"""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wsmultipool.handshake import UpgradeRequest, UpgradeResponse
from wsmultipool.options import ServerURL

from .thoroughness import cases

DAY = 86400.0
NOW = datetime(2026, 2, 3, 12, 0, 0, tzinfo=UTC)
EPOCH = NOW.timestamp()


def response(**headers: str) -> UpgradeResponse:
    """
    Make a rejection with these headers, an underscore standing for a dash.
    """
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return UpgradeResponse(status=503, reason="Service Unavailable", headers=named)


def retry_after(value: str) -> float | None:
    """
    Read this C{Retry-After} header at L{NOW}.
    """
    return response(retry_after=value).retry_after(EPOCH)


def http_date(moment: datetime) -> str:
    """
    Write a date as HTTP does.
    """
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def test_nothing_asked_for() -> None:
    """A server that sends no Retry-After asks for no delay."""
    assert response().retry_after(EPOCH) is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 7 ", 7),
        ("0000000000000000005", 5),
        ("86400", DAY),
        ("86401", DAY),
        ("99999999999", DAY),
        ("9" * 5000, DAY),
    ],
    ids=lambda value: str(value)[:24],
)
def test_seconds(value: str, seconds: float) -> None:
    """A number is seconds, at most one day, however many digits it has."""
    assert retry_after(value) == seconds


@pytest.mark.parametrize(
    ("after", "seconds"),
    [
        (timedelta(0), 0),
        (timedelta(seconds=90), 90),
        (timedelta(hours=3), 3 * 3600),
        (timedelta(days=400), DAY),
        (timedelta(seconds=-1), 0),
        (timedelta(days=-400), 0),
    ],
)
def test_a_date(after: timedelta, seconds: float) -> None:
    """A date is compared with the clock; one in the past asks for no delay."""
    assert retry_after(http_date(NOW + after)) == seconds


def test_the_servers_clock_counts_if_it_is_known() -> None:
    """With a Date header, a client's clock may be wrong by years."""
    told = response(retry_after=http_date(NOW + timedelta(seconds=30)), date=http_date(NOW))
    assert told.retry_after(0.0) == 30
    assert told.retry_after(EPOCH * 2) == 30


def test_a_date_header_that_is_none_does_not_count() -> None:
    """If the server's Date can't be read, the client's clock must do."""
    told = response(retry_after=http_date(NOW + timedelta(seconds=30)), date="yesterday")
    assert told.retry_after(EPOCH) == 30


@pytest.mark.parametrize(
    "value",
    [
        "Tue, 03 Feb 2026 12:01:00 -0000",
        "Tuesday, 03-Feb-26 12:01:00 GMT",
        "Tue Feb  3 12:01:00 2026",
        "Tue, 03 Feb 2026 13:01:00 +0100",
    ],
)
def test_dates_in_old_and_other_forms(value: str) -> None:
    """Dates in the obsolete forms that HTTP still allows, and of mail, mean what they say."""
    assert retry_after(value) == 60


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "soon",
        "-5",
        "+5",
        "1.5",
        "1e3",
        "\u0661\u0662",
        "\u00b2",
        "5, 10",
        "nan",
        "Tue, 31 Feb 2026 12:00:00 GMT",
        "Tue, 03 Feb 2026 25:00:00 GMT",
        "Tue, 03 Feb 99999 12:00:00 GMT",
        "Tue, 03 Feb 99999999999999999999 12:00:00 GMT",
        "Mon, 01 Jan 0001 00:00:00 +2359",
        "Fri, 31 Dec 9999 23:59:59 -2359",
        "Tue, 03 Feb 2026 12:00:00 +9999",
        "Tue, " + "9" * 5000 + " Feb 2026 12:00:00 GMT",
    ],
    ids=lambda value: repr(value)[:40],
)
def test_nonsense_asks_for_nothing_or_something_in_bounds(value: str) -> None:
    """What is neither a number nor a date is no error, and delays nobody for very long."""
    seconds = retry_after(value)
    assert seconds is None or 0 <= seconds <= DAY


@pytest.mark.parametrize("value", ["", "soon", "-5", "1.5", "\u0661\u0662", "nan"])
def test_nonsense_asks_for_nothing(value: str) -> None:
    """What is neither a number nor a date is not guessed at."""
    assert retry_after(value) is None


@settings(derandomize=True)
@given(st.integers(min_value=0, max_value=10**30))
def test_any_number_of_seconds(number: int) -> None:
    """Any whole number of seconds is taken, up to a day."""
    assert retry_after(str(number)) == min(number, DAY)


@settings(derandomize=True)
@given(
    wanted=st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(9998, 1, 1)),
    current=st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(9998, 1, 1)),
    offset=st.integers(min_value=-23, max_value=23),
)
def test_any_dates(wanted: datetime, current: datetime, offset: int) -> None:
    """Between any two dates, in any time zone, the delay is their distance, within bounds."""
    zone = timezone(timedelta(hours=offset))
    wanted = wanted.replace(tzinfo=zone, microsecond=0)
    current = current.replace(tzinfo=UTC, microsecond=0)
    expected = min(max((wanted - current).total_seconds(), 0), DAY)
    text = format_datetime(wanted)
    assert response(retry_after=text).retry_after(current.timestamp()) == expected
    assert response(retry_after=text, date=http_date(current)).retry_after(0) == expected


text = st.one_of(
    st.text(max_size=40),
    st.lists(
        st.sampled_from(
            [
                *("Tue", ", ", " ", "03", "Feb", "2026", "12:00:00", "12:00", "GMT", "-0000"),
                *("+9999", "PM", "-", "/", ".", "9" * 20, "0", "\x00", "(", "EST", "Dec", "31"),
            ]
        ),
        max_size=12,
    ).map("".join),
)


@settings(derandomize=True, max_examples=cases(1000))
@given(value=text, date=text)
@example(value="Tue, 03 Feb 2026 12:00:00 GMT", date="Fri, 31 Dec 9999 23:59:59 -2359")
def test_any_text_is_no_error(value: str, date: str) -> None:
    """Whatever a server says, the delay is none, or something between nothing and a day."""
    for headers in ({"retry_after": value}, {"retry_after": value, "date": date}):
        seconds = response(**headers).retry_after(EPOCH)
        assert seconds is None or 0 <= seconds <= DAY


def test_a_request_shows_no_secret() -> None:
    """Neither headers, nor query string, nor credentials are in what a request looks like."""
    request = UpgradeRequest(
        url=ServerURL.parse("wss://user:secret@example.com/feed?token=secret"),
        host="example.com",
        headers={"Authorization": "secret", "X": "secret"},
        protocols=("chat",),
        origin="https://example.com",
        user_agent="test",
    )
    assert "secret" not in repr(request)
    assert "secret" not in str(request)
    assert "wss://example.com/feed" in repr(request)
    assert "chat" in repr(request)


def test_a_response_shows_neither_headers_nor_body() -> None:
    """A server may repeat a token in its headers or body, so they are not shown."""
    rejection = UpgradeResponse(
        status=401, reason="Unauthorized", headers={"x": "secret"}, body=b"secret"
    )
    assert "secret" not in repr(rejection)
    assert "401" in repr(rejection)
    assert "Unauthorized" in repr(rejection)


def test_defaults() -> None:
    """A request adds nothing, and a response has no body, unless told so."""
    request = UpgradeRequest(url=ServerURL.parse("ws://example.com"), host="example.com")
    assert (request.headers, request.protocols) == ({}, ())
    assert (request.origin, request.user_agent) == (None, None)
    accepted = UpgradeResponse(status=101, reason="", headers={})
    assert (accepted.body, accepted.protocol, accepted.extensions) == (b"", None, ())


@pytest.mark.parametrize(
    ("handshake", "attribute"),
    [
        (UpgradeRequest(url=ServerURL.parse("ws://example.com"), host="example.com"), "host"),
        (UpgradeResponse(status=101, reason="", headers={}), "status"),
    ],
)
def test_a_handshake_cannot_be_changed(handshake: Any, attribute: str) -> None:
    """What was asked, and what was answered, stays as it was."""
    with pytest.raises(FrozenInstanceError):
        setattr(handshake, attribute, None)
    assert not hasattr(handshake, "__dict__")


def test_a_header_that_occurs_several_times() -> None:
    """Its values can be had one by one, in any case of letters; C{headers} has them joined."""
    response = UpgradeResponse(
        status=401,
        reason="",
        headers={"link": "</a>, </b>"},
        fields=(("link", "</a>"), ("via", "x"), ("link", "</b>")),
    )
    assert response.get_all("Link") == ["</a>", "</b>"]
    assert response.get_all("location") == []


def test_a_response_made_from_headers_alone() -> None:
    """One that a test or another wire has made without fields has one value for each header."""
    response = UpgradeResponse(status=101, reason="", headers={"via": "a, b"})
    assert response.get_all("Via") == ["a, b"]
    assert response.get_all("link") == []
