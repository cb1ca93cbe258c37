from __future__ import annotations

import pytest

from dbtune.load.pgbench_output import Exact, complaint, parse_aborted, parse_progress, parse_summary

WHOLE = """\
transaction type: multiple scripts
number of transactions actually processed: 61285
number of failed transactions: 0 (0.000%)
latency average = 0.029 ms
latency stddev = 0.063 ms
initial connection time = 5.782 ms
tps = 30729.942050 (without initial connection time)
 - number of transactions actually processed: 45973 (tps = 23052.094736)
"""

OLD = """\
number of transactions actually processed: 100
latency average = 2.000 ms
tps = 49.000000 (including connections establishing)
tps = 50.000000 (excluding connections establishing)
"""

ABORTED = """\
number of transactions actually processed: 0
number of failed transactions: 0 (NaN%)
latency average = nan ms
tps = 0.000000 (without initial connection time)
pgbench: error: Run was aborted; the above results are incomplete.
"""


def test_the_summary_of_a_version_that_tells_connecting_apart() -> None:
    found = parse_summary(WHOLE)
    assert found is not None
    assert (found.transactions, found.tps, found.latency_s) == (61285, 30729.94205, 0.029 / 1000)
    assert found.connecting_s == 5.782 / 1000


def test_the_summary_of_thirteen_has_two_rates() -> None:
    found = parse_summary(OLD)
    assert found is not None
    assert (found.tps, found.connecting_s) == (50.0, None)


def test_a_run_in_which_nothing_succeeded_has_neither_rate_nor_time() -> None:
    found = parse_summary(ABORTED)
    assert found is not None
    assert (found.transactions, found.tps, found.latency_s) == (0, None, None)


def test_a_run_that_never_began_has_no_summary() -> None:
    assert parse_summary("pgbench (18.6)\n") is None


def test_progress_is_read_in_each_of_its_forms() -> None:
    plain = parse_progress("progress: 1.0 s, 1234.5 tps, lat 3.200 ms stddev 0.900")
    assert plain is not None
    assert (plain.at_s, plain.tps, plain.latency_s) == (1.0, 1234.5, 0.0032)
    long = parse_progress("progress: 2.0 s, 70.0 tps, lat 25.482 ms stddev 9.526, 22 failed, lag 1.580 ms, 74 retried")
    assert long is not None
    assert long.tps == 70
    assert parse_progress("progress: 3.0 s, 0.0 tps, lat NaN ms stddev NaN, 0 failed") is not None
    assert parse_progress("pgbench: error: something else") is None


def test_a_client_that_ended_says_at_what() -> None:
    line = "pgbench: error: client 3 script 1 aborted in command 0 query 0: ERROR:  division by zero"
    found = parse_aborted(line)
    assert found is not None
    assert (found.client, found.script, found.message) == (3, 1, "ERROR: division by zero")
    # Until 14 the script has no place in it.
    older = parse_aborted("pgbench: error: client 0 aborted in command 2 (SQL) of script 0; ERROR:  no such table")
    assert older is not None
    assert older.client == 0


def test_a_complaint_is_told_without_the_programs_name() -> None:
    said = complaint(["pgbench: error: syn.sql:1: invalid command", "progress: 1.0 s, 0.0 tps", "", "\\bogus x"])
    assert said == "syn.sql:1: invalid command; \\bogus x"
    assert complaint([]) == "it gave no reason"


SCRIPTS_18 = """\
number of transactions actually processed: 349
number of failed transactions: 333 (48.827%)
latency average = 5.709 ms
tps = 176.066641 (without initial connection time)
SQL script 1: /tmp/a.sql
 - weight: 1 (targets 25.0% of total)
 - 172 transactions (25.2% of total)
 - number of transactions actually processed: 172 (tps = 86.772098)
 - number of failed transactions: 0 (0.000%)
 - latency average = 0.407 ms
SQL script 2: /tmp/b.sql
 - weight: 3 (targets 75.0% of total)
 - 510 transactions (74.8% of total)
 - number of transactions actually processed: 177 (tps = 89.294543)
 - number of failed transactions: 333 (65.294%)
 - latency average = 10.861 ms
"""
SCRIPTS_15 = """\
number of transactions actually processed: 349
SQL script 1: /tmp/a.sql
 - 172 transactions (49.3% of total, tps = 86.772098)
 - number of failed transactions: 0 (0.000%)
 - latency average = 0.407 ms
SQL script 2: /tmp/b.sql
 - 177 transactions (50.7% of total, tps = 89.294543)
 - number of failed transactions: 333 (65.294%)
 - latency average = 10.861 ms
"""


@pytest.mark.parametrize("text", [SCRIPTS_18, SCRIPTS_15, SCRIPTS_15.replace(" - 177", " - 510")])
def test_each_script_has_its_own_exact_figures(text: str) -> None:
    found = parse_summary(text)
    assert found is not None
    assert found.scripts == (Exact(172, 0.407 / 1000, 0), Exact(177, 10.861 / 1000, 333))


def test_one_script_has_the_figures_of_the_whole() -> None:
    found = parse_summary(WHOLE.replace("transactions: 0 (", "transactions: 7 ("))
    assert found is not None
    assert found.scripts == (Exact(61285, 0.029 / 1000, 7),)


def test_parts_that_do_not_add_up_are_not_believed() -> None:
    found = parse_summary(SCRIPTS_15.replace("processed: 349", "processed: 350"))
    assert found is not None
    assert found.scripts == (Exact(350, None, 0),)


@pytest.mark.parametrize(
    ("said", "script", "message"),
    [
        (
            " aborted in command 0 (SQL) of script 1; perhaps the backend died while processing",
            1,
            "perhaps the backend",
        ),
        (" aborted while establishing connection", None, "while establishing connection"),
        (" aborted: end of script reached with pipeline open", None, "end of script"),
        (" script 1 aborted in command 0 query 0: FATAL:  terminating connection: a; b", 1, "FATAL: terminating"),
    ],
)
def test_a_client_ends_in_many_words(said: str, script: int | None, message: str) -> None:
    found = parse_aborted(f"pgbench: error: client 2{said}")
    assert found is not None
    assert (found.client, found.script) == (2, script)
    assert found.message.startswith(message)
