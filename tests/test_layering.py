"""
The layers of the package hold: what each module may import, read from its import statements.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import wsmultipool

PACKAGE = Path(wsmultipool.__file__).parent
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in PACKAGE.rglob("*.py")
)

# No reactor, no Autobahn, no clock: they work on values alone.
PURE = {
    *("_affinity", "_arguments", "_backlog", "_deflate", "_fleet", "_fragments", "_framing"),
    *(
        "_gate",
        "_inflate",
        "_masking",
        "_message_batch",
        "_message_kinds",
        "_partial_message",
        "_proof",
    ),
    *("_ending", "_repeated", "_tries"),
    *(
        "_explanation",
        "_quotes",
        "_rejection",
        "_response_head",
        "_stages",
        "_tls_options",
        "_urls",
        "_validation",
        "_websocket_options",
    ),
    *("backoff", "balancers", "errors", "events", "handshake", "interfaces", "keys"),
    *("messages", "options", "stats"),
    *(
        "service._client_frames",
        "service._gathered",
        "service._option",
        "service._unfinished",
        "service.hidden_values",
        "service.endpoint_string",
        "service.access",
        "service.relay_options",
        "service.relay_stats",
    ),
    *(
        "_commands.message_framing",
        "_other_names",
        "_words",
        "service.command_line",
        "service.config_file",
    ),
    *("service.configuration", "service.option_table", "service.option_values"),
    *("service.bounded_read", "service.reloading", "service.hosts"),
}
# They do not decide anything: the version, what logs, and what waits for user code.
PURE_ENOUGH = {"_version", "_awaitables", "_pool_logger", "loggers", "service.log_level"}
# The adapter, and the servers: in memory for tests, on loopback for the demo, and the relay's.
AUTOBAHN = {
    *("_autobahn", "_parsing", "_receiving", "_settings", "_demo_server", "_memory_server"),
    "service._relay_protocol",
    # Its sessions and components, which talk to a router.
    *("wamp._calls", "wamp._offering", "wamp._sessions", "wamp.component"),
}
# The same frames in the other direction; it uses nothing else of the library's inside.
ANOTHER_END = {
    "service._client_frames": ("wsmultipool._framing", "wsmultipool._masking"),
    "service._relay_protocol": ("wsmultipool._close_frames",),
}
# Built on what every user can import: these modules, and all in these packages.
EDGES = {
    *("__main__", "_commands", "_demo", "_demo_report", "_demo_server", "_patience", "_refusals"),
    *("_repeated", "_words", "cli", "service", "wamp"),
}


class Imported(NamedTuple):
    """
    A full name that a module imports, and whether merely importing the module does that.
    """

    name: str
    at_import: bool


def imports(module: str) -> set[Imported]:
    """
    Return all imports of a module of the package, wherever in it they stand.

    For C{from a import b} both C{a} and C{a.b} count as imported: C{b} may be a module.
    """
    path = PACKAGE.joinpath(*module.split(".")).with_suffix(".py")
    package = [PACKAGE.name, *module.split(".")[:-1]]

    def found(node: ast.AST, at_import: bool) -> Iterator[Imported]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Imported(alias.name, at_import)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            yield Imported(source, at_import)
            for alias in node.names:
                yield Imported(f"{source}.{alias.name}", at_import)
        match node:
            case (
                ast.FunctionDef() | ast.AsyncFunctionDef() | ast.If(test=ast.Name("TYPE_CHECKING"))
            ):
                at_import = False
        for child in ast.iter_child_nodes(node):
            yield from found(child, at_import)

    return set(found(ast.parse(path.read_text(encoding="utf-8")), True))


def is_under(name: str, *packages: str) -> bool:
    """
    Say whether a full name is one of these packages or modules, or inside one.
    """
    return any(name == package or name.startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("module", sorted(PURE))
def test_pure_modules_know_no_reactor_no_autobahn_no_clock(module: str) -> None:
    """A module that only computes can be tested with values, and reused anywhere."""
    forbidden = ("twisted.internet.reactor", "autobahn", "time")
    assert [name for name, _ in imports(module) if is_under(name, *forbidden)] == []


@pytest.mark.parametrize("module", sorted(PURE))
def test_pure_modules_rest_on_pure_modules(module: str) -> None:
    """What a pure module brings in of the package, when it is imported, is pure as well."""
    impure = {f"wsmultipool.{name}" for name in set(MODULES) - PURE - PURE_ENOUGH}
    assert [name for name, at_import in imports(module) if at_import and name in impure] == []


@pytest.mark.parametrize("module", sorted(set(MODULES) - AUTOBAHN))
def test_only_the_adapter_and_the_servers_import_autobahn(module: str) -> None:
    """All that is peculiar to Autobahn is in one place."""
    assert [name for name, _ in imports(module) if is_under(name, "autobahn", "txaio")] == []


@pytest.mark.parametrize("module", MODULES)
def test_no_module_imports_the_reactor_when_it_is_imported(module: str) -> None:
    """A program may still choose its reactor after it has imported any module of the package."""
    reactor = "twisted.internet.reactor"
    assert Imported(reactor, True) not in imports(module)


@pytest.mark.parametrize("module", [name for name in MODULES if is_under(name, *EDGES)])
def test_edges_import_only_what_is_public(module: str) -> None:
    """The command line and the service use the library as anybody could."""
    edges = [f"wsmultipool.{edge}" for edge in EDGES]
    allowed = (
        *edges,
        "wsmultipool._version",
        "wsmultipool._deadline_clock",
        *ANOTHER_END.get(module, ()),
    )
    private = [
        name
        for name, _ in imports(module)
        if is_under(name, "wsmultipool")
        and any(part.startswith("_") for part in name.split("."))
        and not is_under(name, *allowed)
    ]
    assert private == []


def test_importing_every_module_installs_no_reactor() -> None:
    """Neither do the modules that ours import, and theirs."""
    modules = [f"wsmultipool.{module}" for module in MODULES if not module.endswith("__main__")]
    program = (
        f"import importlib, sys\nfor name in {modules!r}: importlib.import_module(name)\n"
        "sys.exit('twisted.internet.reactor' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
