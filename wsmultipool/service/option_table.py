"""
The table of everything that can be said about the service, on a command line or in a file.

Names, types and defaults are those of the dataclasses of the library, read from them; only the
words that describe an option to an operator are written here.  An option is called C{--pool-size}
on a command line, and C{pool_size} or C{pool-size} in a file.

@since: 0.1.0
"""

from __future__ import annotations

from collections.abc import Mapping

from ..options import PoolOptions, TLSOptions, WebSocketOptions
from ._option import Group, Kind, Option, derived
from .log_level import LEVELS
from .relay_options import RelayOptions

__all__ = ["BY_NAME", "GROUPS", "OPTIONS", "Group", "Kind", "Option"]

_UPSTREAM = (
    Option(
        name="url",
        kind="text",
        metavar="URL",
        repeatable=True,
        help="the ws:// or wss:// server to connect to, once or several times; one with a password"
        " or a token in it belongs into a --config file, as process lists show it here",
    ),
    *derived(
        PoolOptions,
        {
            "pool_size": "connections to keep open",
            "name": "what logs and metrics call the pool; the host in the URL if not given",
        },
        live=frozenset({"pool_size"}),
    ),
    *derived(
        WebSocketOptions,
        {"protocols": "a subprotocol to offer, the preferred one first"},
        names={"protocols": "subprotocol"},
    ),
    Option(
        name="header",
        kind="text",
        metavar="'NAME: VALUE'",
        repeatable=True,
        live=True,
        help="a header of the handshake; one that is a secret belongs into a --header-file",
    ),
    Option(
        name="header_file",
        kind="text",
        metavar="FILE",
        repeatable=True,
        live=True,
        help="a file with headers, 'NAME: VALUE' on each line",
    ),
    *derived(
        WebSocketOptions,
        {
            "origin": "the Origin header",
            "user_agent": "the User-Agent header",
            "proxy": "an HTTP proxy to tunnel through, http://[USER:PASSWORD@]HOST:PORT",
            "endpoint": "where to connect to instead of the URL's host, as a Twisted client"
            " endpoint such as unix:/run/server.sock",
            "compression": "offer permessage-deflate",
            "compression_threshold": "compress messages from this size on",
            "tcp_nodelay": "set TCP_NODELAY",
        },
    ),
)
_TLS = (
    Option(
        name="ca",
        kind="text",
        metavar="FILE",
        live=True,
        within="url",
        help="PEM file with whom to trust; what the system trusts if not given",
    ),
    Option(
        name="cert",
        kind="text",
        metavar="FILE",
        live=True,
        within="url",
        help="PEM file with a certificate to show, and those of intermediate authorities",
    ),
    Option(
        name="key",
        kind="text",
        metavar="FILE",
        live=True,
        within="url",
        help="PEM file with its key, if not in --cert",
    ),
    *derived(
        TLSOptions,
        {"server_name": "the name the server's certificate must have, if not the URL's host"},
        live=frozenset({"server_name"}),
        within="url",
    ),
    Option(
        name="insecure",
        kind="flag",
        metavar="",
        default=False,
        live=True,
        within="url",
        help="accept every certificate, hence every eavesdropper",
    ),
)
_RECONNECTING = derived(
    PoolOptions,
    {
        "reconnect_interval": "the first delay before connecting again is random, up to this",
        "max_reconnect_interval": "what this limit grows to",
        "reconnect_backoff_multiplier": "how much it grows by with each failure",
        "max_reconnect_attempts": "failures after which a connection gives up; never if not given",
        "min_uptime": "how long a connection must last before its failures are forgotten",
        "max_connecting": "connections that may be opening at once; all if not given",
        "open_timeout": "how long a connection may take to open",
        "close_timeout": "how long the closing handshake may take",
        "heartbeat_interval": "ping a connection on which nothing arrived for this long; 0 never",
        "heartbeat_timeout": "abort it when nothing arrives this long after the ping",
    },
)
_QUEUE = derived(
    PoolOptions,
    {
        "message_queue_size": "messages to hold while no connection is open; 0 for none",
        "overflow": "what to do when that many are held",
        "max_buffered_bytes": "payload accepted and not yet written, for all connections together",
        "max_message_size": "the largest message to accept from the server",
        "max_deliveries": "how often a message that is to be confirmed may be written",
    },
    # A service has many who send, and none of them is to pay for what another one sends.
    defaults={"message_queue_size": 10_000, "overflow": "drop_newest"},
)
_RELAY = (
    Option(
        name="listen",
        kind="text",
        metavar="ENDPOINT",
        help="where to take connections of local programs, as a Twisted server endpoint such as"
        " tcp:9000 or unix:/run/relay.sock; on loopback if it names no interface",
    ),
    *derived(
        RelayOptions,
        {
            "fanout": "who gets what arrives: all clients, or those that are pinned to the"
            " connection that it arrived on",
            "confirm": "have every message of a client confirmed by the server before it counts"
            " as sent",
            "ordered": "keep the messages of one client in order, on one connection",
            "allow_origins": "a web page's origin from which clients may come, such as"
            " https://example.com; without any, browsers are refused",
            "allow_hosts": "a name, beside loopback's own, by which clients may call the relay",
        },
        names={"allow_origins": "allow_origin", "allow_hosts": "allow_host"},
        live=frozenset({"allow_origins", "allow_hosts"}),
    ),
    Option(
        name="token_file",
        kind="text",
        metavar="FILE",
        live=True,
        help="a file with the bearer token that clients must present; required beyond loopback,"
        " unless there is --client-ca",
    ),
    Option(
        name="client_ca",
        kind="text",
        metavar="FILE",
        within="listen",
        help="PEM file with who may vouch for clients, which must show a certificate then; for a"
        " --listen that begins with ssl:",
    ),
    *derived(
        RelayOptions,
        {
            "protocols": "a subprotocol that clients may ask for",
            "max_clients": "clients that may be connected",
            "max_message_size": "the largest message to accept from a client",
            "max_unfinished_bytes": "what all clients together may have begun to send, in messages"
            " not finished, before only the one that began first is read from",
            "unfinished_timeout": "how long a client may take for each MiB of a message that it has"
            " begun, before it is closed with 1008",
            "client_buffer_size": "what may wait for a client that does not read, before it is"
            " closed with 1013",
            "confirm_window": "with --confirm, messages of a client that may wait for their"
            " confirmation before nothing more is read from it",
            "confirm_window_bytes": "the same, as bytes",
            "send_timeout": "how long a message of a client may wait for a connection, before it"
            " is closed with 1013",
            "handshake_timeout": "how long a client may take for the opening handshake",
        },
        names={
            "protocols": "client_subprotocol",
            "max_message_size": "client_max_message_size",
            "send_timeout": "client_send_timeout",
            "handshake_timeout": "client_handshake_timeout",
        },
    ),
)
_WEB = (
    Option(
        name="http",
        kind="text",
        metavar="ENDPOINT",
        help="where to serve the status page, /metrics, /healthz, /readyz and /stats.json, as a"
        " Twisted server endpoint; on loopback if it names no interface",
    ),
    Option(
        name="min_ready",
        kind="integer",
        metavar="N",
        default=1,
        live=True,
        within="http",
        help="connections that must be open for /readyz to say so",
    ),
)
_WAMP = (
    Option(
        name="wamp_url",
        kind="text",
        metavar="URL",
        repeatable=True,
        help="a WAMP router, such as Crossbar.io, to offer the pool to: ws:// or wss://; several"
        " are tried in turn",
    ),
    Option(name="realm", kind="text", metavar="REALM", help="the realm of the router to join"),
    Option(
        name="wamp_prefix",
        kind="text",
        metavar="URI",
        help="what procedures, topics and errors begin with, such as com.example.feed",
    ),
    Option(
        name="wamp_authid", kind="text", metavar="NAME", help="whose the ticket for the router is"
    ),
    Option(
        name="wamp_ticket_file",
        kind="text",
        metavar="FILE",
        live=True,
        within="wamp_authid",
        help="a file with that ticket",
    ),
    Option(
        name="wamp_invoke",
        kind="choice",
        metavar="roundrobin|random|first|last|single",
        choices=("roundrobin", "random", "first", "last", "single"),
        default="roundrobin",
        help="how the router chooses between all that offer the same prefix",
    ),
    Option(
        name="wamp_concurrency",
        kind="integer",
        metavar="N",
        help="calls of one procedure at once; what the pool can hold if not given",
    ),
    Option(
        name="wamp_shard",
        kind="integer",
        metavar="N",
        repeatable=True,
        help="a shard to offer as well, from 0",
    ),
    Option(
        name="wamp_publish",
        kind="choice",
        metavar="message|open|close|ready|empty",
        choices=("message", "open", "close", "ready", "empty"),
        repeatable=True,
        help="an event to publish; all if not given",
    ),
)
_PROGRAM = (
    Option(
        name="drain",
        kind="number",
        metavar="SECONDS",
        default=10.0,
        live=True,
        help="on SIGTERM, how long to go on delivering what was accepted before closing",
    ),
    Option(
        name="log_level",
        kind="choice",
        metavar="|".join(LEVELS),
        choices=LEVELS,
        default="info",
        live=True,
        help="the least important of the service's own lines to log",
    ),
)

GROUPS: tuple[Group, ...] = (
    Group("the server", _UPSTREAM),
    Group("TLS with the server", _TLS),
    Group("connections", _RECONNECTING),
    Group("messages on their way to the server", _QUEUE),
    Group("the relay for local programs", _RELAY),
    Group("status page and metrics", _WEB),
    Group("a WAMP router that calls come from", _WAMP),
    Group("the program", _PROGRAM),
)
OPTIONS: tuple[Option, ...] = tuple(option for group in GROUPS for option in group.options)
BY_NAME: Mapping[str, Option] = {option.name: option for option in OPTIONS}
