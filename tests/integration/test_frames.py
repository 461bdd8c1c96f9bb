"""
Frames of every size, however they were masked, compressed or shared, are what servers read.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import gatherResults
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.protocols.tls import TLSMemoryBIOFactory

from wsmultipool import TLSOptions, WebSocketOptions
from wsmultipool._masking import (
    MaskFrame,
    find_autobahn,
    find_websockets,
    mask_by_integers,
    mask_frame,
    masking_by,
    masking_in_place,
)

from .autobahn_server import echo_factory
from .certificates import Authority
from .deadline import within
from .listening import listening
from .peers import node_server, websockets_server
from .starting import Start, StartPool

MIB = 1024 * 1024
SIZES = [0, 1, 125, 126, 65535, 65536, 262143, 262144, MIB]


@pytest.fixture(params=["node", "websockets", "autobahn"])
def echo(request: pytest.FixtureRequest) -> Any:
    """
    Builds an echo server: Node's C{ws}, Python's C{websockets}, or Autobahn.
    """
    if request.param == "node":
        request.getfixturevalue("node")
        return node_server
    if request.param == "websockets":
        return websockets_server
    return lambda deflate=False: listening(echo_factory(deflate=deflate))


def masking(name: str) -> MaskFrame:
    """
    One of the ways to mask; skips the test where it is not installed.
    """
    if name == "integers":
        return mask_by_integers
    if name == "autobahn":
        compiled = find_autobahn()
        if compiled is not None:
            return masking_in_place(*compiled)
    if name == "websockets":
        apply_mask, _ = find_websockets()
        if apply_mask is not None:
            return masking_by(apply_mask)
    if name == "as chosen":
        return mask_frame
    pytest.skip(f"nothing compiled of {name}")


@pytest.mark.parametrize("name", ["integers", "autobahn", "websockets", "as chosen"])
@within(60)
async def test_frames_of_every_size_are_read(
    echo: Any, name: str, start: Start, start_pool: StartPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever masks it, and whatever its size, a message is what the server sends back."""
    for function in ("mask_frame", "mask_short_frame"):
        monkeypatch.setattr(f"wsmultipool._framing.{function}", masking(name))
    server = await start(echo())
    pool, journal = start_pool(server.url)
    payloads = [bytes(range(251)) * (size // 251) + bytes(size % 251) for size in SIZES]

    for payload in payloads:
        await pool.send(payload)
        await pool.send(payload.decode("latin-1").encode("utf-8").decode("utf-8"))

    await journal.nth("message", 2 * len(payloads))
    echoed = [data for data, _, _ in journal.of("message")]
    expected = [
        octets for payload in payloads for octets in (payload, payload.decode("latin-1").encode())
    ]
    identical = echoed == expected
    assert identical


@within(60)
async def test_a_broadcast_leaves_compression_intact(
    echo: Any, start: Start, start_pool: StartPool
) -> None:
    """Personal and shared messages, in any order, are what each server reads from its window."""
    server = await start(echo(deflate=True))
    pool, journal = start_pool(
        server.url, pool_size=3, ws_options=WebSocketOptions(compression=True)
    )
    await pool.when_ready()
    words = "one window must not refer to what is only in another, " * 40

    sent = []
    for turn in range(4):
        for key in range(9):
            text = f"{words} {key} {turn}"
            sent.append(text.encode())
            await pool.send(text, key=key)
        for text in (f"to all {turn}: {words}", f"again {turn}: {words}"):
            sent += [text.encode()] * 3
            results = await pool.broadcast(text)
            assert [success for success, _ in results] == [True] * 3

    await journal.nth("message", len(sent))
    echoed = sorted(data for data, _, _ in journal.of("message"))
    identical = echoed == sorted(sent)
    assert identical
    for response, _ in journal.of("upgrade"):
        assert response.extensions == ("permessage-deflate",)


class _CountedRecords(ProtocolWrapper):
    """
    Beneath TLS: counts the records that arrive (RFC 8446, section 5.1).
    """

    factory: Any

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._octets = b""

    def dataReceived(self, data: bytes) -> None:
        self._octets += data
        while len(self._octets) >= 5:
            end = 5 + int.from_bytes(self._octets[3:5], "big")
            if len(self._octets) < end:
                break
            if self._octets[0] == 23:  # application data
                self.factory.records += 1
            self._octets = self._octets[end:]
        super().dataReceived(data)  # type: ignore[no-untyped-call]


class _CountingRecords(WrappingFactory):
    """
    Counts the records of all its connections.
    """

    protocol = _CountedRecords
    noisy = False
    records = 0


@within(30)
async def test_small_messages_share_tls_records(
    authority: Authority, start: Start, start_pool: StartPool
) -> None:
    """What is sent in one turn of the reactor is encrypted together, not message by message."""
    options = authority.issue("localhost").private.options()
    counting = _CountingRecords(  # type: ignore[no-untyped-call]
        TLSMemoryBIOFactory(options, False, echo_factory())
    )
    server = await start(listening(counting))
    tls = TLSOptions(trust_root=authority.trust_root)
    pool, journal = start_pool(
        f"wss://localhost:{server.port}/", ws_options=WebSocketOptions(tls=tls)
    )
    await pool.when_ready()
    before = counting.records

    await gatherResults([pool.send(f"message {number}") for number in range(300)])

    await journal.nth("message", 300)
    assert counting.records - before == 1
