"""
A run passes only if all cases were run, and came out well.
"""

from __future__ import annotations

from .verdicts import Verdict, Verdicts, objections, summary

OK = Verdict("OK", "OK")
INFORMATIONAL = Verdict("INFORMATIONAL", "INFORMATIONAL")
NON_STRICT = Verdict("NON-STRICT", "OK")
UNCLEAN = Verdict("OK", "UNCLEAN")

CASES = {1: 2, 10: 1}
GOOD: Verdicts = {"1.2": OK, "1.10": OK, "10.1": INFORMATIONAL}


def test_a_run_as_good_as_the_yardstick_passes() -> None:
    """OK and INFORMATIONAL for the right number of cases is all that is asked for."""
    assert objections(GOOD, GOOD, CASES) == []


def test_an_empty_run_does_not_pass() -> None:
    """A server that offers no cases proves nothing."""
    assert objections({}, {}, CASES) == [
        "section 1: 0 cases of 2 were run with the pool",
        "section 10: 0 cases of 1 were run with the pool",
        "section 1: 0 cases of 2 were run with plain Autobahn",
        "section 10: 0 cases of 1 were run with plain Autobahn",
    ]


def test_cases_that_nobody_expects_do_not_pass() -> None:
    """More cases than the suite is known to have would be of some other suite."""
    more = {**GOOD, "11.1": OK}
    assert objections(more, GOOD, CASES) == ["section 11: 1 cases of 0 were run with the pool"]


def test_any_other_verdict_is_an_objection() -> None:
    """What is merely tolerated does not pass, neither for messages nor for the closing."""
    ours = {"1.2": UNCLEAN, "1.10": NON_STRICT, "10.1": OK}
    assert objections(ours, GOOD, CASES) == ["1.2: OK / UNCLEAN", "1.10: NON-STRICT / OK"]


def test_the_same_fault_in_plain_autobahn_is_no_excuse() -> None:
    """A bad verdict is one, whoever else has it."""
    ours = {**GOOD, "1.2": UNCLEAN}
    assert objections(ours, ours, CASES) == ["1.2: OK / UNCLEAN"]


def test_good_enough_but_worse_than_plain_autobahn_is_an_objection() -> None:
    """Where plain Autobahn gets an OK, so must the pool."""
    ours = {**GOOD, "1.2": INFORMATIONAL}
    assert objections(ours, GOOD, CASES) == ["1.2: INFORMATIONAL, but OK with plain Autobahn"]
    assert objections(GOOD, ours, CASES) == []


def test_summary_counts_by_section() -> None:
    """The table has a row for each section, in numerical order, and one for all."""
    ours = {"1.2": UNCLEAN, "1.10": NON_STRICT, "10.1": INFORMATIONAL}
    assert summary({"us": ours, "plain": GOOD}) == [
        "======= ===== ====== ============= ======================= ========= ============= ======",
        "Section Cases us: OK INFORMATIONAL others                  plain: OK INFORMATIONAL others",
        "======= ===== ====== ============= ======================= ========= ============= ======",
        "1       2     0      0             1 NON-STRICT, 1 UNCLEAN 2         0             0",
        "10      1     0      1             0                       0         1             0",
        "all     3     0      1             1 NON-STRICT, 1 UNCLEAN 2         1             0",
        "======= ===== ====== ============= ======================= ========= ============= ======",
    ]
