"""
From what somebody said to what the service is made of.

L{Source} is what was said when the program was started, and where the rest is to be read.  Reading
it again, as SIGHUP does, gives another L{Configuration} to compare with the present one.

@since: 0.1.0
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any, TypeVar, cast

from ..options import PoolOptions, ProxyOptions, ServerURL, TLSOptions, WebSocketOptions
from .access import check_exposure, exposure_of_description, on_loopback_unless_told
from .config_file import check_regular, digest, exposed, header_lines, read_config, read_text
from .endpoint_string import tls_files_of
from .hidden_values import HiddenValues
from .option_table import BY_NAME, OPTIONS
from .option_values import ConfigurationError, Values, header_of, headers_of, merged
from .relay_options import RelayOptions

__all__ = ["TLS_NAMES", "Configuration", "Source"]

_T = TypeVar("_T")

_WAMP_NAMES = (
    *("realm", "wamp_prefix", "wamp_authid", "wamp_ticket_file", "wamp_invoke"),
    *("wamp_concurrency", "wamp_shard", "wamp_publish"),
)
_RELAY_FILES = ("token_file", "client_ca")
TLS_NAMES = ("ca", "cert", "key", "server_name", "insecure")
# Names of headers with a word that ends like this have a secret for their value, as far as one can
# tell: Authorization, X-Api-Key, X-AuthToken, X-Session-Id.
_SECRET_HEADER = re.compile(
    r"(auth|authorization|token|key|secret|cookie|password|session|credentials?)(?![a-z0-9])",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Source:
    """
    Where a configuration comes from.

    @ivar said: the options on the command line, by name.
    @ivar config: the path of a file with others; C{None} for none.
    """

    said: Values = field(repr=False)
    config: str | None = None

    def read(self) -> Configuration:
        """
        Read all files that are part of the configuration, and check everything.

        @raise ConfigurationError: there is a mistake.
        """
        if self.config is None:
            return Configuration.of(self.said, tuple(self._warnings(self.said)))
        in_file = read_config(self.config)
        values = merged(self.said, in_file, self.config)
        hidden = HiddenValues.of(in_file, f"config {self.config!r}")
        try:
            return Configuration.of(values, tuple(self._warnings(values)), hidden)
        except ConfigurationError as error:
            raise ConfigurationError(hidden.hide(str(error))) from None

    def _warnings(self, values: Values) -> Iterator[str]:
        for name in dict.fromkeys(_with_secrets(self.said)):
            yield (
                f"{BY_NAME[name].flag} has a secret in it, which everybody on this machine can see"
                " in the list of processes: put it into a file"
            )
        files = _several(values, "header_file")
        for name in ("token_file", "wamp_ticket_file"):
            if name in values:
                files = [*files, _one(values, name)]
        if self.config is not None and list(_with_secrets(values)):
            files = [*files, self.config]
        for path in files:
            if exposed(path):
                yield f"everybody on this machine may read the secrets in {path!r}"


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """
    A configuration without a mistake.

    @ivar urls: the servers.
    @ivar headers: those of the handshake.
    @ivar websocket: the options of each WebSocket, except for its headers.
    @ivar pool: the options of the pool, except for those.
    @ivar relay: the options of the relay; C{None} for no relay.
    @ivar listen: the endpoint it listens on.
    @ivar client_ca: the path of a file with who may vouch for the relay's clients; C{None} if they
        need not show a certificate.
    @ivar http: the endpoint of the status page; C{None} for no page.
    @ivar min_ready: connections that must be open to be ready.
    @ivar wamp: the arguments of L{pool_component<wsmultipool.wamp.pool_component>}; C{None} for no
        router.
    @ivar drain: seconds to go on delivering at the end.
    @ivar log_level: the least important that is logged.
    @ivar warnings: what the operator should be told.
    @ivar values: what it was made of.
    @ivar hidden: what of it no message is to repeat.
    @ivar contents: what tells whether something else is in the files that an option names, by its
        name.
    """

    urls: tuple[str, ...] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    websocket: Mapping[str, Any] = field(repr=False)
    pool: Mapping[str, Any] = field(repr=False)
    relay: RelayOptions | None = None
    listen: str | None = None
    client_ca: str | None = None
    http: str | None = None
    min_ready: int = 1
    wamp: Mapping[str, Any] | None = field(default=None, repr=False)
    drain: float
    log_level: str
    warnings: tuple[str, ...] = ()
    values: Values = field(repr=False)
    contents: Mapping[str, str] = field(repr=False)
    hidden: HiddenValues = field(default_factory=HiddenValues, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        values: Values,
        warnings: tuple[str, ...] = (),
        hidden: HiddenValues | None = None,
    ) -> Configuration:
        """
        Check everything.

        @param values: by the names of the table.
        @param hidden: what of them no message is to repeat.
        @raise ConfigurationError: there is a mistake.
        """
        # Before they are read: what changes in between counts as a change the next time.
        contents = {name: digest(paths) for name, paths in _files(values)}
        for name, paths in _files(values):
            if name != "wamp_ticket_file":  # of which we are the only reader
                for path in paths:
                    check_regular(path, name)
        urls = _several(values, "url")
        if not urls:
            raise ConfigurationError("url is missing: give --url, or a --config file that has it")
        secure = [_checked(ServerURL.parse, url).secure for url in urls]
        headers = headers_of(_header_lines(values))
        websocket = _of(WebSocketOptions, values)
        websocket["tls"] = _tls(values, any(secure))
        if "compression_threshold" in websocket and not websocket.get("compression"):
            raise ConfigurationError("compression_threshold needs compression")
        pool = {
            **{o.field: o.default for o in OPTIONS if o.owner is PoolOptions},
            **_of(PoolOptions, values),
        }
        # Made once here, for their checks.
        _checked(WebSocketOptions, headers=headers, **websocket)
        _checked(PoolOptions, **pool)
        return cls(
            urls=tuple(urls),
            headers=headers,
            websocket=websocket,
            pool=pool,
            relay=_relay(values),
            listen=_endpoint(values, "listen"),
            client_ca=_one(values, "client_ca"),
            http=_endpoint(values, "http"),
            min_ready=_min_ready(values),
            wamp=_wamp(values),
            drain=_drain(values),
            log_level=_one(values, "log_level"),
            warnings=warnings,
            values=values,
            contents=contents,
            hidden=hidden or HiddenValues(),
        )

    def websocket_options(self, headers: Callable[[], Mapping[str, str]]) -> WebSocketOptions:
        """
        Make the options of each WebSocket.

        @param headers: is asked for every attempt to connect.
        """
        return WebSocketOptions(headers=headers, **self.websocket)

    def keeping(self, names: Collection[str], present: Configuration) -> Configuration:
        """
        Return this configuration with some options as they are at present: not in its parts, but
        in what it is compared by.

        @param names: of the options.
        """
        return replace(
            self,
            values=_keeping(names, self.values, present.values),
            contents=_keeping(names, self.contents, present.contents),
        )


def _keeping(
    names: Collection[str], following: Mapping[str, _T], present: Mapping[str, _T]
) -> dict[str, _T]:
    return {
        **{name: value for name, value in following.items() if name not in names},
        **{name: present[name] for name in names if name in present},
    }


def _one(values: Values, name: str) -> Any:
    return values.get(name, BY_NAME[name].default)


def _several(values: Values, name: str) -> list[str]:
    return cast("list[str]", values.get(name, []))


def _of(owner: type, values: Values) -> dict[str, Any]:
    """Return what was said of the options of one dataclass, by its names for them."""
    return {
        option.field: values[option.name]
        for option in OPTIONS
        if option.owner is owner and option.name in values
    }


def _checked(make: Callable[..., _T], *arguments: Any, **options: Any) -> _T:
    """Call what refuses mistakes as the library does, in messages without secrets."""
    try:
        return make(*arguments, **options)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(str(error)) from None


def _drain(values: Values) -> float:
    drain: float = _one(values, "drain")
    if not 0 <= drain < inf:
        raise ConfigurationError(f"drain must be at least 0, and finite, not {drain!r}")
    return drain


def _min_ready(values: Values) -> int:
    number: int = _one(values, "min_ready")
    if "min_ready" in values and "http" not in values:
        raise ConfigurationError("min_ready needs http")
    if number < 0:
        raise ConfigurationError(f"min_ready must be at least 0, not {number!r}")
    if number > (size := _one(values, "pool_size")):
        raise ConfigurationError(f"min_ready ({number}) is more than pool_size ({size})")
    return number


def _endpoint(values: Values, name: str) -> str | None:
    if name not in values:
        return None
    if not values[name]:
        raise ConfigurationError(f"{name} is empty: it is an endpoint such as tcp:9000")
    return on_loopback_unless_told(_one(values, name))


def _relay(values: Values) -> RelayOptions | None:
    options = _of(RelayOptions, values)
    listen = _endpoint(values, "listen")
    if listen is None:
        for option in OPTIONS:
            is_of_relay = option.owner is RelayOptions or option.name in _RELAY_FILES
            if is_of_relay and option.name in values:
                raise ConfigurationError(f"{option.name} needs listen")
        return None
    for name in ("confirm_window", "confirm_window_bytes"):
        if name in values and not options.get("confirm"):
            raise ConfigurationError(f"{name} needs confirm")
    # What clients ask for and what upstream speaks had better be the same.
    options.setdefault("protocols", _several(values, "subprotocol"))
    if "token_file" in values:
        path = _one(values, "token_file")
        try:
            RelayOptions(token=(token := read_text(path, "token_file").strip()))
        except ValueError as error:
            raise ConfigurationError(f"token_file {path!r}: {error}") from None
        options["token"] = token
    if "client_ca" in values:
        if not tls_files_of(listen):
            raise ConfigurationError("client_ca needs a listen that begins with ssl:")
        options["client_certificates"] = True
    options["settle_timeout"] = _drain(values)
    relay = _checked(RelayOptions, **options)
    _checked(check_exposure, exposure_of_description(listen), relay)
    return relay


def _wamp(values: Values) -> dict[str, Any] | None:
    if not values.get("wamp_url"):
        for name in _WAMP_NAMES:
            if name in values:
                raise ConfigurationError(f"{name} needs wamp_url")
        return None
    for name in ("realm", "wamp_prefix"):
        if name not in values:
            raise ConfigurationError(f"{name} is missing: wamp_url needs it")
    if ("wamp_authid" in values) != ("wamp_ticket_file" in values):
        raise ConfigurationError("wamp_authid and wamp_ticket_file need each other")
    authentication = None
    if "wamp_ticket_file" in values:
        ticket = read_text(_one(values, "wamp_ticket_file"), "wamp_ticket_file").strip()
        authentication = {"ticket": {"authid": _one(values, "wamp_authid"), "ticket": ticket}}
    arguments = {
        "url": _several(values, "wamp_url"),
        "realm": _one(values, "realm"),
        "prefix": _one(values, "wamp_prefix"),
        "authentication": authentication,
        "invoke": _one(values, "wamp_invoke"),
        "concurrency": _one(values, "wamp_concurrency"),
        "shards": values.get("wamp_shard", ()),
    }
    if "wamp_publish" in values:
        arguments["publish"] = values["wamp_publish"]
    return arguments


def _files(values: Values) -> Iterator[tuple[str, tuple[str, ...]]]:
    """
    Say which files an option names.  Headers and the token are compared for themselves.
    """
    for name in ("ca", "cert", "key", "client_ca", "wamp_ticket_file"):
        if name in values:
            yield name, (_one(values, name),)
    for name in ("listen", "http"):
        if files := tls_files_of(_one(values, name) or ""):
            yield name, files


def _header_lines(values: Values) -> Iterator[tuple[str, str]]:
    lines = _several(values, "header")
    for number, line in enumerate(lines, 1):
        yield line, "header" if len(lines) == 1 else f"header number {number}"
    for path in _several(values, "header_file"):
        yield from header_lines(path)


def _tls(values: Values, secure: bool) -> TLSOptions | None:
    said = [name for name in TLS_NAMES if values.get(name)]
    if not said:
        return None
    if not secure:
        raise ConfigurationError(f"{said[0]} is for a url that begins with wss://")
    certificate, key = _one(values, "cert"), _one(values, "key")
    if key is not None and certificate is None:
        raise ConfigurationError("key needs the certificate that it belongs to: give cert as well")
    if values.get("insecure") and values.get("ca"):
        raise ConfigurationError("ca and insecure contradict each other: give one of them")
    return _checked(
        TLSOptions,
        trust_root=_one(values, "ca"),
        client_certificate=certificate if key is None else (certificate, key),
        server_name=_one(values, "server_name"),
        verify=not _one(values, "insecure"),
    )


def _with_secrets(values: Values) -> Iterator[str]:
    """Say which values have a secret in them, as far as one can tell."""
    for line in _several(values, "header"):
        if _SECRET_HEADER.search(header_of(line, "header")[0]):
            yield "header"
    for url in _several(values, "url"):
        parsed = _checked(ServerURL.parse, url)
        if parsed.credentials is not None or "?" in parsed.resource:
            yield "url"
    if "proxy" in values and _checked(ProxyOptions.of, values["proxy"]).credentials is not None:
        yield "proxy"
