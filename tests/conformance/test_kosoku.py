"""
The pool conforms to RFC 6455 and RFC 7692 as far as the Autobahn TestSuite's cases can tell.

The cases come from C{kosoku}.  Its clocks are slowed down, see C{kosoku_server.py}, so that no
verdict depends on the speed of the machine.
"""

from __future__ import annotations

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults

from tests.integration.deadline import limited, within

from .cutting import Cut
from .peers import Peer, PoolPeer, plain_peer
from .runs import with_kosoku
from .verdicts import SECTIONS, Verdicts, objections

pytestmark = pytest.mark.integration

# All sections but those on compression.
CASES = {number: count for number, count in SECTIONS.items() if number < 12}
# In section 9 messages have up to 16 MiB; see Cut.
CUT_WHOLLY = 16384

# 1,000 messages each: of 64 octets from every source, of 8192 octets in frames of 256, and of 1024
# with all parameters of the extension.  The other 203 cases would take minutes.
COMPRESSED = [
    *(f"12.{source}.2" for source in range(1, 6)),
    "12.1.11",
    *(f"13.{parameters}.4" for parameters in range(1, 8)),
]


async def verdicts_on(peer: Peer, peer_for_large: Peer) -> Verdicts:
    """
    Run every case of CASES, section 9 with a peer of its own.
    """
    others = {number: count for number, count in CASES.items() if number != 9}
    patterns = [f"{number}.*" for number in others]
    runs = [
        Deferred.fromCoroutine(with_kosoku(peer, patterns, sum(others.values()))),
        Deferred.fromCoroutine(with_kosoku(peer_for_large, ["9.*"], CASES[9])),
    ]
    verdicts, verdicts_for_large = await gatherResults(runs)
    return {**verdicts, **verdicts_for_large}


@pytest_twisted.async_fixture(scope="module")  # type: ignore[untyped-decorator]
async def plain() -> Verdicts:
    """
    The verdicts on plain Autobahn.
    """
    return await limited(Deferred.fromCoroutine(verdicts_on(plain_peer, plain_peer)), 300)


@within(300)
async def test_the_pool_conforms(plain: Verdicts) -> None:
    """No case of sections 1 to 10 fails, or comes out worse than with plain Autobahn."""
    peers = PoolPeer(Cut(0)), PoolPeer(Cut(0))

    verdicts = await verdicts_on(*peers)

    assert objections(verdicts, plain, CASES) == []
    # Section 9 alone has 12,000 messages in frames with nothing special about them.
    assert sum(peer.ordinary_frames for peer in peers) > 10_000


@pytest.mark.parametrize("size", [1, 3])
@within(300)
async def test_the_pool_conforms_whatever_it_reads_at_once(size: int, plain: Verdicts) -> None:
    """The same holds when octets come one by one, or three by three."""
    cuts = Cut(size), Cut(size, CUT_WHOLLY)
    peers = [PoolPeer(cut) for cut in cuts]

    verdicts = await verdicts_on(*peers)

    assert objections(verdicts, plain, CASES) == []
    assert sum(peer.ordinary_frames for peer in peers) > 10_000
    assert sum(cut.pieces for cut in cuts) > 1_000_000 / size


@within(300)
async def test_compression_conforms() -> None:
    """Messages compressed with permessage-deflate come back whole, in all its parameters."""
    ours, plain = await gatherResults(
        [
            Deferred.fromCoroutine(with_kosoku(peer, COMPRESSED, len(COMPRESSED)))
            for peer in (PoolPeer(Cut(0)), plain_peer)
        ]
    )
    assert objections(ours, plain, {12: 6, 13: 7}) == []
