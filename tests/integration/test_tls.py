"""
C{wss}: whom the pool trusts, what it says when it does not, and how it proves who it is.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.ssl import CertificateOptions

from wsmultipool import ReconnectingPoolFactory, TLSOptions, WebSocketOptions

from .autobahn_server import echo_factory
from .certificates import Authority, Issued
from .deadline import within
from .journal import Journal
from .listening import listening
from .peers import node_server
from .recording_logger import RecordingLogger
from .starting import Start, StartPool


@pytest.fixture(params=["autobahn", "node"])
def tls_echo(request: pytest.FixtureRequest, authority: Authority) -> Any:
    """
    Builds an echo server that speaks TLS: Twisted's, or Node's.

    It takes the certificate to show, and whether to demand one of the client.
    """
    if request.param == "node":
        request.getfixturevalue("node")

        def node_echo(issued: Issued, *, demanding: bool = False) -> Any:
            tls = {"key": issued.key_file, "cert": issued.certificate_file}
            if demanding:
                tls["clientCA"] = authority.file
            return node_server(tls=tls)

        return node_echo

    def autobahn_echo(issued: Issued, *, demanding: bool = False) -> Any:
        options: CertificateOptions = (
            authority.demanding(issued) if demanding else issued.private.options()
        )
        return listening(echo_factory(), tls=options)

    return autobahn_echo


def wss(server: Any, host: str = "localhost") -> str:
    return f"wss://{host}:{server.port}/"


async def assert_echoes(pool: ReconnectingPoolFactory, journal: Journal) -> None:
    await pool.send("over TLS")
    assert (await journal.nth("message"))[0] == b"over TLS"


async def assert_refused_and_retried(journal: Journal, *words: str) -> None:
    """
    Assert that every attempt fails with an error whose text has one of the words in it.
    """
    await journal.nth("error", 2)
    for error, connection_id in journal.of("error"):
        assert any(word in str(error).lower() for word in words), str(error)
        assert error.stage == "TLS"
        assert connection_id == 0
    assert journal.count("open") == journal.count("close") == 0


@within(30)
async def test_private_authority_is_trusted_when_told_to(
    tls_echo: Any, authority: Authority, start: Start, start_pool: StartPool
) -> None:
    """With its authority as trust root, a server with a private certificate is accepted."""
    server = await start(tls_echo(authority.issue("localhost")))
    tls = TLSOptions(trust_root=authority.trust_root)

    pool, journal = start_pool(wss(server), ws_options=WebSocketOptions(tls=tls))

    await assert_echoes(pool, journal)


@within(30)
async def test_private_authority_is_not_trusted_by_default(
    tls_echo: Any, authority: Authority, start: Start, start_pool: StartPool
) -> None:
    """Without a trust root of its own, the pool trusts only what the platform trusts."""
    server = await start(tls_echo(authority.issue("localhost")))

    _, journal = start_pool(wss(server))

    await assert_refused_and_retried(journal, "certificate verify failed", "unknown ca")


@within(30)
async def test_wrong_host_name_is_refused(
    tls_echo: Any, authority: Authority, start: Start, start_pool: StartPool
) -> None:
    """A trusted certificate for another host is refused, the error says so, and it is retried."""
    server = await start(tls_echo(authority.issue("elsewhere.example")))
    tls = TLSOptions(trust_root=authority.trust_root)

    _, journal = start_pool(wss(server), ws_options=WebSocketOptions(tls=tls))

    await assert_refused_and_retried(journal, "localhost", "mismatch", "host")


@within(30)
async def test_expired_certificate_is_refused(
    tls_echo: Any, authority: Authority, start: Start, start_pool: StartPool
) -> None:
    """An expired certificate is refused, and the error says that it is the certificate."""
    server = await start(tls_echo(authority.issue("localhost", expired=True)))
    tls = TLSOptions(trust_root=authority.trust_root)

    _, journal = start_pool(wss(server), ws_options=WebSocketOptions(tls=tls))

    await assert_refused_and_retried(journal, "certificate")


@within(30)
async def test_connects_once_the_certificate_is_right(
    authority: Authority, start: Start, start_pool: StartPool
) -> None:
    """A TLS failure is no dead end: the pool connects when the server has got it right."""
    tls = TLSOptions(trust_root=authority.trust_root)
    async with listening(
        echo_factory(), tls=authority.issue("localhost", expired=True).private.options()
    ) as wrong:
        pool, journal = start_pool(wss(wrong), ws_options=WebSocketOptions(tls=tls))
        await journal.nth("error")

    await start(
        listening(
            echo_factory(), port=wrong.port, tls=authority.issue("localhost").private.options()
        )
    )

    await assert_echoes(pool, journal)


@within(30)
async def test_verification_can_be_switched_off(
    tls_echo: Any, authority: Authority, start: Start, start_pool: StartPool
) -> None:
    """C{verify=False} accepts any certificate, and logs a warning about just that."""
    server = await start(tls_echo(authority.issue("elsewhere.example", expired=True)))
    logger = RecordingLogger()

    pool, journal = start_pool(
        wss(server), ws_options=WebSocketOptions(tls=TLSOptions(verify=False)), logger=logger
    )

    await assert_echoes(pool, journal)
    assert [text for text in logger.texts("warn") if "verif" in text.lower()]


@within(30)
async def test_server_name_can_differ_from_the_address(
    tls_echo: Any, authority: Authority, start: Start, start_pool: StartPool
) -> None:
    """C{server_name} is the name that the certificate is checked for, whatever the URL says."""
    server = await start(tls_echo(authority.issue("inside.example")))
    tls = TLSOptions(trust_root=authority.trust_root, server_name="inside.example")

    pool, journal = start_pool(wss(server, "127.0.0.1"), ws_options=WebSocketOptions(tls=tls))

    await assert_echoes(pool, journal)


@within(30)
async def test_address_in_the_url_is_checked(
    tls_echo: Any, authority: Authority, start: Start, start_pool: StartPool
) -> None:
    """For a URL with an IP address, the certificate must be for that address."""
    server = await start(tls_echo(authority.issue("127.0.0.1")))
    tls = TLSOptions(trust_root=authority.trust_root)

    pool, journal = start_pool(wss(server, "127.0.0.1"), ws_options=WebSocketOptions(tls=tls))

    await assert_echoes(pool, journal)


@within(30)
async def test_client_certificate_is_shown(
    tls_echo: Any, authority: Authority, start: Start, start_pool: StartPool
) -> None:
    """A server that demands a client certificate is shown the one of the options."""
    server = await start(tls_echo(authority.issue("localhost"), demanding=True))
    tls = TLSOptions(
        trust_root=authority.trust_root,
        client_certificate=authority.issue("client@example.com").private,
    )

    pool, journal = start_pool(wss(server), ws_options=WebSocketOptions(tls=tls))

    await assert_echoes(pool, journal)


@within(30)
async def test_missing_client_certificate_is_refused(
    tls_echo: Any, authority: Authority, start: Start, start_pool: StartPool
) -> None:
    """Without the client certificate that the server demands, attempts fail and are retried."""
    server = await start(tls_echo(authority.issue("localhost"), demanding=True))
    tls = TLSOptions(trust_root=authority.trust_root)

    _, journal = start_pool(wss(server), ws_options=WebSocketOptions(tls=tls))

    await assert_refused_and_retried(journal, "certificate")


@within(30)
async def test_context_of_the_user_is_used(
    tls_echo: Any, authority: Authority, start: Start, start_pool: StartPool
) -> None:
    """Instead of options, a ready client connection creator of Twisted's may be given."""
    server = await start(tls_echo(authority.issue("localhost")))

    pool, journal = start_pool(
        wss(server), ws_options=WebSocketOptions(tls=authority.client_creator("localhost"))
    )

    await assert_echoes(pool, journal)


@within(30)
async def test_sixteen_mebibytes_over_tls(
    tls_echo: Any, authority: Authority, start: Start, start_pool: StartPool
) -> None:
    """A message far above what TLS buffers at once comes back whole."""
    server = await start(tls_echo(authority.issue("localhost")))
    tls = TLSOptions(trust_root=authority.trust_root)
    pool, journal = start_pool(wss(server), ws_options=WebSocketOptions(tls=tls))
    payload = bytes(range(256)) * 65536

    await pool.send(payload)

    data, _, _ = await journal.nth("message")
    identical = data == payload
    assert identical


@within(30)
async def test_close_over_tls_is_a_handshake(
    tls_echo: Any, authority: Authority, start: Start, start_pool: StartPool
) -> None:
    """Closing the pool ends a TLS connection with the closing handshake, not by cutting it."""
    server = await start(tls_echo(authority.issue("localhost")))
    tls = TLSOptions(trust_root=authority.trust_root)
    pool, journal = start_pool(wss(server), ws_options=WebSocketOptions(tls=tls))
    await pool.when_ready()

    await pool.close()

    assert [code for _, code, _ in journal.of("close")] == [1000]
    assert journal.of("error") == []
