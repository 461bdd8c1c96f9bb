"""
Metrics as Prometheus itself, and its own checks, see them.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

from twisted.internet.endpoints import TCP4ServerEndpoint

from wsmultipool.service.web import StatusService

from .autobahn_server import echo_factory
from .deadline import within
from .listening import listening, port_of, unused_port
from .programs import output_of, path_of, running
from .requests import eventually, fetch, fetch_json
from .running_reactor import reactor
from .starting import StartPool

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"


async def measured_service(stack: AsyncExitStack, start_pool: StartPool) -> str:
    """
    Serve the metrics of a pool to which much has happened; return where, as C{host:port}.
    """
    server = await stack.enter_async_context(listening(echo_factory()))
    pool, journal = start_pool(server.url, pool_size=3, name="feed")
    await pool.when_ready()
    await pool.send("hello", confirm=True)
    await journal.nth("message", 1)
    server.connections[0].reset()
    await journal.nth("close", 1)
    await pool.when_ready()
    endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
    service = StatusService(pool, endpoint, reactor=reactor)
    port = await service.listen()
    service.startService()
    stack.push_async_callback(service.stopService)
    server.connections[0].reset()
    await journal.nth("close", 2)
    await pool.when_ready()
    return f"127.0.0.1:{port_of(port)}"


@within(60)
async def test_prometheus_scrapes_and_evaluates(
    stack: AsyncExitStack, start_pool: StartPool, tmp_path: Path
) -> None:
    """A real server, with the configuration of the documentation, knows the pool's values."""
    prometheus = path_of("prometheus", "prometheus")
    where = await measured_service(stack, start_pool)
    configuration = (EXAMPLES / "prometheus.yml").read_text(encoding="utf-8")
    assert "15s" in configuration
    assert "127.0.0.1:8080" in configuration
    # The same, but sooner, and of this service.
    file = tmp_path / "prometheus.yml"
    file.write_text(
        configuration.replace("15s", "1s").replace("127.0.0.1:8080", where), encoding="utf-8"
    )
    (tmp_path / "alerts.yml").write_bytes((EXAMPLES / "alerts.yml").read_bytes())
    port = unused_port()
    command = (
        prometheus,
        f"--config.file={file}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    )

    async with running(*command) as program:
        await program.wrote("Server is ready to receive web requests")

        async def value(query: str) -> str | None:
            url = f"http://127.0.0.1:{port}/api/v1/query?query={quote(query)}"
            (result,) = (await fetch_json(url))["data"]["result"] or [None]
            found: str | None = result and result["value"][1]
            return found

        async def rules() -> Any:
            answer = await fetch_json(f"http://127.0.0.1:{port}/api/v1/rules")
            (group,) = answer["data"]["groups"]
            done = all(rule["health"] != "unknown" for rule in group["rules"])
            return group["rules"] if done else None

        assert await eventually(lambda: value('wsmultipool_connections{state="open"}')) == "3"
        assert await value('up{job="wsmultipool"}') == "1"
        assert await value('sum(wsmultipool_disconnects_total{reason="connection_dropped"})') == "1"
        assert await value("wsmultipool_reconnects_total") == "2"
        evaluated = await eventually(rules)
        assert {rule["health"] for rule in evaluated} == {"ok"}
        assert {rule["state"] for rule in evaluated} == {"inactive"}


@within(60)
async def test_promtool_finds_nothing_wrong_with_the_metrics(
    stack: AsyncExitStack, start_pool: StartPool
) -> None:
    """Names, units, types and help are as Prometheus recommends, and the text can be parsed."""
    promtool = path_of("promtool", "prometheus")
    where = await measured_service(stack, start_pool)
    status, metrics = await fetch(f"http://{where}/metrics")
    assert status == 200
    # It also checks what prometheus_client itself gives for a Python process, which is not ours.
    ours = b"".join(line for line in metrics.splitlines(True) if b"wsmultipool_" in line)
    assert ours.count(b"# TYPE") > 20
    assert await output_of(promtool, "check", "metrics", standard_input=ours) == (True, "")


@within(60)
async def test_promtool_accepts_the_alert_rules() -> None:
    """The rules of the documentation are valid, and there are as many as are read."""
    promtool = path_of("promtool", "prometheus")
    rules = (EXAMPLES / "alerts.yml").read_text(encoding="utf-8")
    succeeded, output = await output_of(promtool, "check", "rules", str(EXAMPLES / "alerts.yml"))
    assert succeeded, output
    assert f"{rules.count('- alert:')} rules found" in output


@within(60)
async def test_the_alerts_are_raised_when_they_should_be() -> None:
    """Over invented hours: an outage, waiting and dropped messages, and a day without trouble."""
    promtool = path_of("promtool", "prometheus")
    file = Path(__file__).with_name("alerts_test.yml")
    succeeded, output = await output_of(promtool, "test", "rules", str(file))
    assert succeeded, output
