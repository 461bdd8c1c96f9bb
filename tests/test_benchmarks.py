"""
The benchmarks' arithmetic, tables and arguments.  That they run is seen by C{tox -e bench}.
"""

from __future__ import annotations

import io
import json
import random
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import arguments, documentation, rst, tables, text
from benchmarks.cells import MEASURES, PAYLOADS, Cell, in_words
from benchmarks.clients.raw_client import frame
from benchmarks.clients.task import Task
from benchmarks.peers import BASELINES, PEERS
from benchmarks.plan import QUICK, SMOKE, Plan, Run
from benchmarks.processes import ProcessFailed, last_line, server
from benchmarks.progress import Progress
from benchmarks.results import Results
from benchmarks.running import Laboratory
from benchmarks.samples import PROCESSOR_RATE, Reading, Sample, Samples, Spread
from benchmarks.server import IN_C, ON_PICOWS, ServerProgram, build
from benchmarks.tables import Table
from benchmarks.targets import TARGETS, Target, outcomes

SEND = Cell("send", 16, 4)


def sample(
    peer: str,
    rate: float,
    number: int = 0,
    cell: Cell = SEND,
    **result: float,
) -> Sample:
    """
    Return a run of one second, half of which the client was busy.
    """
    measured = {"messages": rate, "seconds": 1.0, "cpu_seconds": 0.5, "server_cpu_seconds": 0.25}
    return Sample(cell, peer, number, {**measured, **result})


def three_rounds() -> Samples:
    """
    Return rounds on a machine that was twice as fast in the last of them.
    """
    return Samples(
        [
            *(sample("wsmultipool", rate, n) for n, rate in enumerate((400.0, 440.0, 800.0))),
            *(sample("node-pool", rate, n) for n, rate in enumerate((100.0, 100.0, 200.0))),
            *(sample("node-pool-await", rate, n) for n, rate in enumerate((50.0, 60.0, 300.0))),
        ]
    )


def every_sample() -> Samples:
    """
    Return three rounds of everything, in which all clients do the same.
    """
    return Samples(
        sample(run.peer, 1000.0, run.round, run.cell, p50=2e-5, p99=9e-5, bytes_per_connection=8e3)
        for run in Plan(rounds=3).runs(random.Random(0))
    )


def context() -> dict[str, object]:
    """
    Return what results say of where they are from.
    """
    return {
        "time": "2026-01-02T03:04+00:00",
        "machine": {"processor": "Z80", "cores": 1, "kernel": "CP/M 2.2", "load": 0.1},
        "versions": {"python": "3.11.0", "picows": None},
        "options": {"rounds": 3, "seconds": 0.6},
        "server": "C",
        "minutes": 1.5,
        "load_after": 0.2,
        "speedups": {"wsmultipool, plain install": "Python's integers"},
    }


def by_title(table: Table) -> dict[str, str]:
    """
    Return the second column of a table by the first.
    """
    return {row[0]: row[1] for row in table.rows}


# Statistics


def test_a_spread_is_the_median_with_its_extremes() -> None:
    """One slow round moves an extreme, not the median."""
    assert Spread.of([3.0, 1.0, 100.0]) == Spread(3.0, 1.0, 100.0)


def test_nothing_has_no_spread() -> None:
    """What was not measured is not a zero."""
    assert Spread.of([]) is None


def test_ratios_are_taken_within_a_round() -> None:
    """What makes a whole round slow or fast changes no ratio."""
    ratio = three_rounds().ratio(Reading(SEND, "wsmultipool"), Reading(SEND, "node-pool"))
    assert ratio == Spread(4.0, 4.0, 4.4)


def test_a_round_in_which_one_failed_has_no_ratio() -> None:
    """A figure of one round is not compared with one of another."""
    samples = Samples(
        [
            sample("wsmultipool", 100, 0),
            sample("wsmultipool", 900, 1),
            sample("node-pool", 50, 0),
            Sample(SEND, "node-pool", 1, error="killed"),
        ]
    )
    ratio = samples.ratio(Reading(SEND, "wsmultipool"), Reading(SEND, "node-pool"))
    assert ratio == Spread(2.0, 2.0, 2.0)


def test_processor_rates_leave_out_the_time_a_client_had_to_wait() -> None:
    """A client that was busy half of the time could have done twice as much."""
    assert sample("picows", 100).value(PROCESSOR_RATE) == 200.0


def test_the_baseline_is_the_faster_of_the_node_pools() -> None:
    """Which way of sending suits Node best may differ by what is measured: it gets the better."""
    assert three_rounds().fastest(SEND, BASELINES) == "node-pool"
    assert three_rounds().fastest(SEND, ["picows"]) is None


def test_a_failed_run_has_an_error_and_no_figures() -> None:
    """It is reported, and in no median."""
    failed = Sample(SEND, "picows", 0, error="not installed")
    assert failed.value("rate") is None
    assert Samples([failed, sample("ws", 1)]).errors() == [failed]


# Targets


def test_a_target_is_met_by_the_median_of_its_ratios() -> None:
    """At least four times the Node pool, as measured above."""
    target = Target(text="send", cell=SEND, peer="wsmultipool", at_least=4)
    ratio = target.ratio(three_rounds())
    assert ratio is not None
    assert target.met_by(ratio)
    assert not Target(text="send", cell=SEND, peer="wsmultipool", at_least=4.1).met_by(ratio)


def test_a_target_may_be_a_most() -> None:
    """A round trip may take so much longer, and no more."""
    target = Target(text="p50", cell=SEND, peer="wsmultipool", figure="p50", at_most=1.3)
    assert target.met_by(Spread(1.3, 1.0, 9.0))
    assert not target.met_by(Spread(1.31, 1.0, 1.4))


def test_a_cost_is_the_inverse_of_a_rate() -> None:
    """Half as many messages per second are messages that cost twice as much."""
    large = Cell("pool-size", 16, 1024)
    small = Cell("pool-size", 16, 4)
    samples = Samples([sample("wsmultipool", 100, 0, small), sample("wsmultipool", 50, 0, large)])
    (outcome,) = outcomes(samples)
    assert outcome.ratio == Spread(2.0, 2.0, 2.0)
    assert not outcome.met


def test_targets_that_were_not_measured_are_left_out() -> None:
    """A run of one measure tells of its targets only."""
    texts = [outcome.target.text for outcome in outcomes(three_rounds())]
    assert texts == ["send, extra fast, 16 B"]


def test_every_target_is_measured_by_the_full_plan() -> None:
    """None of them has a typing error in its cell or its peers."""
    found = outcomes(every_sample())
    assert [outcome.target for outcome in found] == list(TARGETS)
    assert {outcome.ratio.median for outcome in found} == {1.0}


def test_processor_time_is_compared_where_clients_do_the_same_work() -> None:
    """Prepared frames cost no client anything, and a limited link is waited for."""
    compared = {
        outcome.target.cell.measure for outcome in outcomes(every_sample()) if outcome.processor
    }
    assert compared == {"send", "confirmed", "receive", "broadcast", "relay"}


# What is run


def test_every_peer_of_every_measure_exists() -> None:
    """The matrix names no peer that nobody made."""
    assert {peer for measure in MEASURES.values() for peer in measure.peers} == set(PEERS)


def test_the_full_plan_runs_everything_in_every_round() -> None:
    """As often as there are rounds, whatever the order."""
    plan = Plan(rounds=2)
    runs = list(plan.runs(random.Random(0)))
    first = {(run.cell, run.peer) for run in runs if run.round == 0}
    assert first == {(cell, peer) for cell in plan.cells() for peer in MEASURES[cell.measure].peers}
    assert len(runs) == 2 * len(first)


def test_what_is_compared_follows_each_other_in_an_order_that_changes() -> None:
    """Between two peers' turns there is nothing else, and no peer always comes first."""
    plan = Plan(rounds=10, measures=("receive",), payloads=(16, 1024))
    runs = list(plan.runs(random.Random(0)))
    assert [run.cell.payload for run in runs[:16]] == [16] * 8 + [1024] * 8
    assert len({run.peer for run in runs[::8]}) > 1


def test_a_measure_without_the_wanted_payload_keeps_its_own() -> None:
    """The limited link is measured with one size of messages, whatever the others use."""
    cells = Plan(measures=("send", "link"), payloads=(1024,)).cells()
    assert {cell.payload for cell in cells} == {1024, 16 * 1024}


def test_a_smoke_run_has_every_measure_and_peer_but_few_connections() -> None:
    """It shows that all of it works, in little time."""
    runs = list(SMOKE.runs(random.Random(0)))
    assert {run.cell.measure for run in runs} == set(MEASURES)
    assert {run.peer for run in runs} == set(PEERS)
    assert max(run.cell.connections for run in runs) == 4


def test_a_quick_run_compares_with_both_node_pools() -> None:
    """Its ratios have the same baseline as those of the full run."""
    assert set(BASELINES) <= set(QUICK.peers)


def test_clients_on_node_are_told_how_to_wait() -> None:
    """They get the task of the others, and their variant."""
    task = Task(
        client="pool",
        measure="send",
        url="ws://127.0.0.1:1/",
        authority=None,
        payload=16,
        connections=4,
        seconds=1.0,
    )
    told = json.loads(PEERS["node-pool-await"].command(task)[-1])
    assert told["variant"] == "await"
    assert Task.from_json(PEERS["picows"].command(task)[-1]) == task


def test_a_peer_that_is_missing_says_what_is_not_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The others still run."""
    monkeypatch.setattr("benchmarks.peers.find_spec", lambda name: None)
    monkeypatch.setattr("benchmarks.peers.shutil.which", lambda name: None)
    assert PEERS["picows"].missing() == "picows is not installed"
    assert PEERS["ws"].missing() == "node and npm not found"


def test_a_peer_that_failed_is_not_asked_for_the_same_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that hangs costs its deadline once, and the others are measured all the same."""
    monkeypatch.setattr("benchmarks.peers.find_spec", lambda name: None)
    laboratory = Laboratory(ServerProgram(IN_C, ("true",)), None, 0.01)  # type: ignore[arg-type]
    runs = [Run(SEND, "picows", number) for number in range(3)]
    assert [s.error for s in laboratory.samples(runs)] == ["picows is not installed"]


# Processes


def test_a_program_that_takes_too_long_is_killed() -> None:
    """Nothing is waited for for ever."""
    with pytest.raises(ProcessFailed, match="killed after"):
        last_line([sys.executable, "-c", "import time; time.sleep(60)"], {}, 0.3)


def test_the_result_of_a_program_is_its_last_line() -> None:
    """What it writes before that is its own affair."""
    assert last_line([sys.executable, "-c", "print('a'); print('b')"], {}, 30) == "b"


def test_a_program_that_fails_is_reported_with_its_reason() -> None:
    """The end of what it wrote about it, where the reason stands."""
    with pytest.raises(ProcessFailed, match="out of paper"):
        last_line([sys.executable, "-c", "import sys; sys.exit('out of paper')"], {}, 30)
    with pytest.raises(ProcessFailed, match="No such file"):
        last_line(["no-such-program"], {}, 30)


@pytest.mark.parametrize(
    "said",
    [
        "Traceback:\n  File 'x.py', line 1\n    f()\nValueError: out of ink\n\n",
        "x.js:1\n  throw new Error()\n\nError: out of ink\n    at x.js:1\n\nNode.js v20.0.0\n",
    ],
)
def test_of_a_stack_only_the_error_is_reported(said: str) -> None:
    """Where in whose code it happened says nothing to the reader of a table."""
    program = [sys.executable, "-c", f"import sys; sys.exit({said!r})"]
    with pytest.raises(ProcessFailed, match=r"^\w*Error: out of ink$"):
        last_line(program, {}, 30)


def test_a_server_that_does_not_listen_is_reported() -> None:
    """Instead of a port, its reason."""
    program = [sys.executable, "-c", "import sys; sys.exit('no sockets left')"]
    with pytest.raises(ProcessFailed, match="no sockets left"), server(program):
        pass


def test_without_a_compiler_the_server_is_on_picows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And why is said."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert build(tmp_path).kind == ON_PICOWS
    assert "server on picows is used" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("size", "header"), [(16, "8290"), (126, "82fe007e"), (65536, "82ff0000000000010000")]
)
def test_prepared_frames_are_masked_frames(size: int, header: str) -> None:
    """The limit is measured with what a client would have to write."""
    payload = bytes(range(256)) * 256 + b"12"
    made = frame(0x82, payload[:size])
    start = bytes.fromhex(header)
    key, masked = made[len(start) : len(start) + 4], made[len(start) + 4 :]
    assert made.startswith(start)
    assert bytes(octet ^ key[i % 4] for i, octet in enumerate(masked)) == payload[:size]


# Arguments


def test_without_arguments_everything_is_measured() -> None:
    """The full run is the default."""
    plan, _ = arguments.parse([])
    assert plan == Plan()


def test_arguments_choose_measures_peers_payloads_and_rounds() -> None:
    """Also of a shorter run."""
    command = "--quick --measure send,wss --peer picows --payload 16,1024 --rounds 7 --seconds 2"
    plan, _ = arguments.parse(command.split())
    assert plan.measures == ("send", "wss")
    assert plan.peers == ("picows",)
    assert plan.payloads == (16, 1024)
    assert (plan.rounds, plan.seconds) == (7, 2.0)


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("--measure sned", "no such: sned"),
        ("--payload 17", "no such: 17"),
        ("--rounds 0", "must be from 1 to 100, not '0'"),
        ("--seconds long", "must be from 0.001 to 60, not 'long'"),
        ("--seconds nan", "not 'nan'"),
        ("--quick --smoke", "not allowed with"),
    ],
)
def test_mistakes_in_arguments_are_named(
    command: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is measured."""
    with pytest.raises(SystemExit) as exit_:
        arguments.parse(command.split())
    assert exit_.value.code == 2
    assert complaint in capsys.readouterr().err


# What is written


def test_results_survive_being_written_and_read() -> None:
    """Tables can be made anew from the file of an old run."""
    samples = [*three_rounds().all, Sample(SEND, "picows", 0, error="killed after 30 s")]
    results = Results(context(), Samples(samples))
    read = Results.from_json(results.to_json())
    assert read.samples.all == samples
    assert read.context == results.context


@pytest.mark.parametrize("text_", ["nonsense", "[]", '{"context": {}, "samples": [{}]}'])
def test_what_is_not_a_result_is_refused(text_: str) -> None:
    """A wrong file is named as such."""
    with pytest.raises(ValueError, match=r"."):
        Results.from_json(text_)


@pytest.mark.parametrize(
    ("value", "words"),
    [(2.5, "2.5"), (123.4, "123"), (1234.0, "1.23 k"), (99_900.0, "99.9 k"), (2.5e6, "2.5 M")],
)
def test_numbers_have_three_digits(value: float, words: str) -> None:
    """More would pretend to a precision that is not there."""
    assert tables.number(value) == words


def test_sizes_are_written_as_people_do() -> None:
    """In the unit that makes them short."""
    assert [in_words(size) for size in PAYLOADS] == ["16 B", "1 KiB", "16 KiB", "1 MiB"]


def test_a_table_of_rates_tells_rate_ratio_and_processor_time() -> None:
    """Of each peer, and how busy both sides were."""
    table, _ = tables.all_tables(three_rounds())
    assert table.header == ["messages per second", "16 B"]
    rows = by_title(table)
    ours = "440\n4.00 x (4.00 to 4.40)\nprocessor 4.00 x"
    assert rows["wsmultipool, extra fast"] == ours
    assert rows["Node pool, waiting when full"] == "100"
    assert rows["busy with wsmultipool: client, server"] == "50%, 25%"


def test_every_measure_has_a_table() -> None:
    """And the targets have one."""
    names = [table.name for table in tables.all_tables(every_sample())]
    assert names == [*MEASURES, "targets"]


@pytest.mark.parametrize("name", MEASURES)
def test_a_table_shows_what_is_missing_as_a_dash(name: str) -> None:
    """A peer that failed leaves a gap, and does not take the table with it."""
    cell = Plan(measures=(name,)).cells()[0]
    peers = MEASURES[name].peers
    samples = Samples([Sample(cell, peer, 0, error="killed") for peer in peers])
    table = tables.all_tables(samples)[0]
    assert table.name == name
    assert "-" in table.rows[0][1]


def test_text_tables_are_aligned() -> None:
    """Cells of several lines, too."""
    table = Table("t", "Title", ["a", "long header"], [["x\nyy", "1"], ["z", "2\n3"]])
    assert text.render(table).splitlines() == [
        "Title",
        "=====",
        "a   long header",
        "--  -----------",
        "x   1",
        "yy",
        "z   2",
        "    3",
    ]


def test_documentation_tables_keep_their_lines_and_escape_markup() -> None:
    """Sphinx shows what was measured, not what it takes for markup."""
    table = Table("t", "Title", ["", "a_b"], [["*", "1\n2"]])
    assert rst.render(table).splitlines()[2:] == [
        ".. list-table::",
        "   :header-rows: 1",
        "",
        "   * -",
        r"     - a\_b",
        r"   * - \*",
        "     - | 1",
        "       | 2",
    ]


def test_tables_without_a_header_have_none() -> None:
    """That of the machine."""
    assert ":header-rows:" not in rst.render(tables.machine(context()))


def test_the_machine_table_leaves_out_what_is_not_there() -> None:
    """A peer that is not installed has no version."""
    rows = by_title(tables.machine(context()))
    assert rows["Versions"] == "python 3.11.0"
    assert rows["Masking, wsmultipool, plain install"] == "Python's integers"


def test_documentation_is_the_same_for_the_same_results(tmp_path: Path) -> None:
    """Tables, results and plot; a plot that changes with each run could not be reviewed."""
    pytest.importorskip("matplotlib")
    results = Results(context(), every_sample())
    for name in ("one", "two"):
        documentation.write(results, tmp_path / name)
    first, second = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("one", "two")
    )
    assert first == second
    assert {"send.txt", "targets.txt", "machine.txt", "results.json", "ratios.svg"} <= set(first)
    assert ElementTree.fromstring(first["ratios.svg"]).tag.endswith("svg")


def test_a_plot_of_part_of_the_measures_can_be_drawn(tmp_path: Path) -> None:
    """Panels without figures stay empty."""
    pytest.importorskip("matplotlib")
    from benchmarks.plot import draw

    draw(three_rounds(), tmp_path / "plot.svg")
    assert (tmp_path / "plot.svg").stat().st_size > 0


class Terminal(io.StringIO):
    """
    A stream that says it is one.
    """

    def isatty(self) -> bool:
        return True


def test_progress_is_a_line_on_a_terminal() -> None:
    """Written over and over, and gone at the end."""
    stream = Terminal()
    progress = Progress(stream, 2)
    progress.step("send")
    assert "[############............] 1/2, 0 min left: send" in stream.getvalue()
    progress.say("picows failed")
    progress.end()
    assert stream.getvalue().endswith("\r\x1b[Kpicows failed\n\r\x1b[K")


def test_without_a_terminal_there_is_no_progress_line() -> None:
    """Only what went wrong is written."""
    stream = io.StringIO()
    progress = Progress(stream, 2)
    progress.step("send")
    progress.say("picows failed")
    progress.end()
    assert stream.getvalue() == "picows failed\n"
