from __future__ import annotations

from dbtune.load.pgbench_log import Columns, tally


def test_a_line_of_seven_fields_is_read_as_the_command_line_says() -> None:
    line = [b"0 1 5000 0 1795404952 476039 91"]
    with_rate = tally(line, Columns(lag=True))
    assert (with_rate.alike[0].time_us, with_rate.served[0].time_us) == (5000, 4909)
    with_tries = tally(line, Columns(retries=True))
    assert with_tries.served == []
    assert with_tries.alike[0].time_us == 5000
    # Neither was asked for: such a line cannot be.
    assert tally(line, Columns()).unreadable == 1
    assert tally(line, Columns(lag=True, retries=True)).unreadable == 1


def test_equal_times_of_a_second_are_counted_together() -> None:
    found = tally([b"0 1 20 0 100 5", b"1 1 20 0 100 9", b"0 2 20 1 100 9", b"0 3 20 0 101 9"], Columns())
    assert sorted((one.script, one.second, one.count) for one in found.alike) == [(0, 100, 2), (0, 101, 1), (1, 100, 1)]
    assert found.transactions == 4


def test_what_failed_and_what_was_skipped_has_no_time() -> None:
    lines = [
        b"0 1 failed 0 100 5 7 0",
        b"0 2 serialization 0 100 5 7 2",
        b"0 3 deadlock 1 100 5 7 2",
        b"0 4 skipped 0 101 5 7 0",
        b"0 5 30 0 101 5 7 1",
    ]
    found = tally(lines, Columns(lag=True, retries=True))
    assert found.transactions == 1
    assert found.failed == {
        (0, 100, "serialization or deadlock failure"): 1,
        (0, 100, "serialization failure"): 1,
        (1, 100, "deadlock"): 1,
    }
    assert found.skipped == {101: 1}


def test_rubbish_is_counted_and_never_guessed_at() -> None:
    lines = [b"", b"\xff\xfe", b"0 1 x 0 100 5", b"0 1 5 0 100", b"a b c d e f", b"0 1 5 0 100 5"]
    found = tally(lines, Columns())
    assert found.transactions == 1
    assert found.unreadable == 4


def test_the_latest_lag_is_kept() -> None:
    found = tally([b"0 1 50 0 100 5 10", b"0 2 60 0 100 6 30"], Columns(lag=True))
    assert found.last_lag_us == 30
