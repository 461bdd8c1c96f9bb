"""
The service as a program: where it does not begin, and what it never shows.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from .deadline import within
from .listening import listening, unused_port
from .recording_upstream import Upstream
from .service_programs import RUNNERS, TWISTD, local_client, run, running

pytestmark = pytest.mark.integration


@within(60)
@pytest.mark.parametrize("runner", RUNNERS)
async def test_it_does_not_start_with_a_mistake(runner: str, tmp_path: Path) -> None:
    """A mistake in the file is one line, and the status 1."""
    config = tmp_path / "config.toml"
    config.write_text("pool_siz = 3\n")
    failed = await run(*RUNNERS[runner], "--config", config)
    assert failed.status == 1
    (line,) = failed.errors.decode().splitlines()
    assert line.endswith("unknown option 'pool_siz': did you mean 'pool_size'?")


@within(60)
@pytest.mark.parametrize(
    ("runner", "option"), [("twistd", "listen"), ("twist", "listen"), ("relay", "http")]
)
async def test_it_does_not_start_where_the_port_is_in_use(runner: str, option: str) -> None:
    """Where another program listens already, the log says so, and the status is 1."""
    async with listening(Upstream()) as server:
        failed = await run(
            *RUNNERS[runner], "--url", server.url, f"--{option}", f"tcp:{server.port}"
        )
    assert failed.status == 1
    (line,) = [line for line in failed.log.splitlines() if "critical" in line]
    assert re.search(rf"{option}: .*127\.0\.0\.1:{server.port}.*Address already in use", line)
    assert "Traceback" not in failed.log


@within(60)
async def test_a_daemon_that_does_not_start_leaves_nothing(tmp_path: Path) -> None:
    """The relay's socket is there already when the other port is found to be in use."""
    async with listening(Upstream()) as server:
        failed = await run(
            *(*TWISTD[:2], f"--pidfile={tmp_path / 'pid'}", f"--logfile={tmp_path / 'log'}"),
            *("wsmultipool", "--url", server.url, "--http", f"tcp:{server.port}"),
            *("--listen", f"unix:{tmp_path / 'socket'}"),
        )
    assert failed.status == 1
    assert f"http: Couldn't listen on 127.0.0.1:{server.port}" in failed.log
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


@within(60)
async def test_a_socket_that_was_left_behind_is_no_obstacle(tmp_path: Path) -> None:
    """A relay that was killed starts again, though the process that its lock names is alive."""
    url, listen = f"ws://127.0.0.1:{unused_port()}/", f"unix:{tmp_path / 'socket'}"
    arguments = [*RUNNERS["relay"], "--url", url, "--listen", listen]
    async with running(*arguments) as program:
        await program.wrote("listens on")
        # In a container it would be the number of the next one.
        lock = tmp_path / "socket.lock"
        lock.unlink()
        lock.symlink_to(str(os.getpid()))
        second = await run(*arguments)
        assert second.status == 1
        assert "Cannot acquire lock" in second.log
        program.signal("KILL")
        await program.ended()
    assert lock.is_symlink()
    async with running(*arguments) as program:
        await program.wrote("no connection could be made")
        program.signal("TERM")
        assert await program.ended() == 0, program.log


@within(60)
async def test_it_ends_when_every_connection_has_given_up() -> None:
    """A pool that tries no more is no service: whoever supervises it may start it again."""
    url = f"ws://127.0.0.1:{unused_port()}/"
    failed = await run(
        *RUNNERS["relay"], "--url", url, "--max-reconnect-attempts=2", "--reconnect-interval=0.01"
    )
    assert failed.status == 1
    assert "critical" in failed.log


# Secrets


@within(60)
async def test_no_secret_is_shown(tmp_path: Path) -> None:
    """Neither the list of processes nor the log has a header's value, a token or a query."""
    headers, token, config = (tmp_path / name for name in ("headers", "token", "config.toml"))
    headers.write_text("Authorization: Bearer hunter1\nX-Key: hunter2\n")
    token.write_text("hunter3")
    upstream = Upstream()
    async with listening(upstream) as server:
        config.write_text(f'url = "{server.url}?hunter4"\n')
        port = unused_port()
        async with running(
            *RUNNERS["relay"],
            *map(str, ("--config", config, "--header-file", headers, "--token-file", token)),
            *(f"--listen=tcp:{port}", "--log-level=debug"),
        ) as program:
            await program.wrote("all 5 connections are open")
            assert upstream.journal.of("key")[0] == ("hunter2",)
            async with local_client(port, max_reconnect_attempts=1) as client:
                await client.when_open().addBoth(lambda _: None)
            await program.wrote("Refused")
            arguments = Path(f"/proc/{program.process_id}/cmdline")
            shown = arguments.read_text() if arguments.exists() else ""
            program.signal("TERM")
            assert await program.ended() == 0
    assert "hunter" not in shown + program.log
    assert program.log.count("everybody on this machine may read the secrets in") == 3
