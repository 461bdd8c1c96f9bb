"""
A server's record: each message in it is read once, whatever was written when.
"""

from __future__ import annotations

from pathlib import Path

from .record import Record


def entry(payload: bytes) -> bytes:
    """Return what a server writes."""
    return len(payload).to_bytes(4, "big") + payload


def test_news_are_read_once(tmp_path: Path) -> None:
    """What was read is not read again; what was written since, is."""
    path = tmp_path / "record"
    path.write_bytes(entry(b"one") + entry(b"") + entry(b"three"))
    record = Record(path)

    assert list(record.news()) == [b"one", b"", b"three"]
    assert list(record.news()) == []
    with path.open("ab") as file:
        file.write(entry(b"four"))
    assert list(record.news()) == [b"four"]


def test_half_an_entry_waits_for_its_rest(tmp_path: Path) -> None:
    """An entry of which only a part was written is read when it is complete."""
    path = tmp_path / "record"
    whole = entry(b"in pieces")
    record = Record(path)
    for cut in (2, 5, len(whole) - 1):
        path.write_bytes(whole[:cut])
        assert list(record.news()) == []

    path.write_bytes(whole + entry(b"next"))
    assert list(record.news()) == [b"in pieces", b"next"]


def test_more_than_one_read(tmp_path: Path) -> None:
    """A record larger than one read of it is complete, and in order."""
    payloads = [bytes([number % 256]) * 50_000 for number in range(100)]
    path = tmp_path / "record"
    path.write_bytes(b"".join(map(entry, payloads)))

    assert list(Record(path).news()) == payloads
