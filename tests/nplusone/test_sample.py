"""A sample of the log: what its three forms say, and which loops it proves."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest

from dbtune.nplusone.detect import detect
from dbtune.nplusone.sample import confirmed, read_sample
from dbtune.nplusone.traffic import KeyRow, Logged, Statement, Traffic

LIST, USER, SESSION = "list", "user", "session"
STATEMENT = "SELECT name\n\tFROM users WHERE id = $1"


def as_stderr(pid: str, message: str, detail: str) -> str:
    head = f"2026-01-01 10:00:00.000 UTC [{pid}]"
    return f"{head} LOG:  {message}\n{head} DETAIL:  {detail}\n"


def as_json(pid: str, message: str, detail: str) -> str:
    return (
        json.dumps({"timestamp": "x", "pid": int(pid), "message": message.replace("\n\t", "\n"), "detail": detail})
        + "\n"
    )


def as_csv(pid: str, message: str, detail: str) -> str:
    text = io.StringIO()
    row = [""] * 26
    row[0], row[3], row[13], row[14] = "2026-01-01 10:00:00.000 UTC", pid, message.replace("\n\t", "\n"), detail
    csv.writer(text).writerow(row)
    return text.getvalue()


@pytest.mark.parametrize("form", [as_stderr, as_json, as_csv])
@pytest.mark.parametrize("how", ["execute <unnamed>: ", "duration: 0.041 ms  execute s1: ", "statement: "])
def test_every_form_of_log_tells_who_asked_what_with_which_values(form: object, how: str) -> None:
    assert callable(form)
    text = "".join(form(pid, how + STATEMENT, f"Parameters: $1 = '{value}'") for pid, value in (("7", 1), ("8", 2)))
    assert read_sample(text, lambda sql: " ".join(sql.split())) == (
        Logged("7", "SELECT name FROM users WHERE id = $1", "Parameters: $1 = '1'"),
        Logged("8", "SELECT name FROM users WHERE id = $1", "Parameters: $1 = '2'"),
    )


@pytest.mark.parametrize(
    "text", ["", "\0\0", "{", '{"message": 5}\n[]\n', "2026-01-01 x,y\n", "LOG:  statement: select 1"]
)
def test_what_is_no_log_or_was_cut_is_an_empty_sample(text: str) -> None:
    assert read_sample(text, str) == ()


def statement(mark: str, text: str, calls: tuple[int, ...], rows: tuple[int, ...]) -> Statement:
    return Statement((mark,), mark, text, 10, calls, rows, tuple(0.05 * one for one in calls))


def detected(sample: list[Logged]) -> str:
    keys = (
        KeyRow("unique", "public", "users", ["id"], True, None, None, None, None),  # noqa: FBT003 - as in the catalog
        KeyRow("unique", "public", "posts", ["id"], True, None, None, None, None),  # noqa: FBT003
        KeyRow("foreign", "public", "posts", ["author_id"], False, "public", "users", ["id"], 0.0),  # noqa: FBT003
    )
    rows = (101, 230, 44, 163, 301, 117)
    statements = (
        statement(LIST, "SELECT id, author_id FROM posts LIMIT $1", (5, 11, 3, 9, 14, 6), rows),
        statement(USER, "SELECT id, name FROM users WHERE id = $1", rows, rows),
    )
    traffic = Traffic(statements, keys, 60.0, is_snapshot=False, round_trip_s=0.001)
    (found,) = detect(replace(traffic, sample=tuple(sample))).detections
    assert confirmed([found], sample)[0].level == found.level
    return found.level


def looped(pid: str, *marks: str) -> list[Logged]:
    return [Logged(pid, mark, f"value {place}") for place, mark in enumerate(marks)]


def test_different_values_in_one_session_after_the_list_confirm() -> None:
    assert detected(looped("1", LIST, *[USER] * 6)) == "confirmed"


def test_sessions_that_take_turns_in_the_log_are_told_apart() -> None:
    turns = zip(looped("1", LIST, *[USER] * 6), looped("2", *[SESSION] * 7), strict=True)
    assert detected([one for turn in turns for one in turn]) == "confirmed"


@pytest.mark.parametrize(
    "sample",
    [
        [],
        looped("1", LIST, *[USER] * 4),
        [one for pid in range(9) for one in looped(str(pid), LIST, USER)],
        [Logged("1", LIST, ""), *[Logged("1", USER, "the same")] * 50],
        looped("1", LIST, *[SESSION, USER] * 20),
        [*looped("1", *[USER] * 20), *looped("2", LIST)],
    ],
    ids=["none", "few", "one a session", "the same again", "one a request", "before the list"],
)
def test_what_a_loop_does_not_look_like_confirms_nothing(sample: list[Logged]) -> None:
    assert detected(sample) == "likely"


def test_without_the_list_in_the_sample_the_row_of_look_ups_is_enough() -> None:
    assert detected(looped("1", *[USER] * 6)) == "confirmed"
