from __future__ import annotations

from dbtune.load.pgbench_output import complaint, parse_aborted, parse_progress, parse_summary

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
