from __future__ import annotations

import csv
import io
import json

import pytest

from dbtune.advisor.logs import read_log
from dbtune.core.errors import Misused

STDERR = """2026-01-01 10:00:00.123 UTC [17] app@shop LOG:  duration: 12.500 ms  statement: select *
\tfrom orders where id = 5
2026-01-01 10:00:01 UTC [17] app LOG:  duration: 3 ms  execute <unnamed>: select * from orders where a = $1 and b = $2
2026-01-01 10:00:01 UTC [17] app@shop DETAIL:  Parameters: $1 = 'it''s', $2 = NULL
2026-01-01 10:00:02 UTC [17] app@shop ERROR:  syntax error at or near "selekt"
2026-01-01 10:00:02 UTC [17] app@shop STATEMENT:  selekt 1
2026-01-01 10:00:03 UTC [17] app@shop LOG:  checkpoint starting: time
2026-01-01 10:00:04 UTC [17] app@shop LOG:  duration: 0.050 ms
"""


def test_the_servers_own_lines_are_read() -> None:
    first, second = read_log(STDERR, "server.log")
    assert first.text == "select *\nfrom orders where id = 5"
    assert first.time_s == 0.0125
    assert second.text == "select * from orders where a = 'it''s' and b = NULL"


def test_jsonlog_is_read_and_a_damaged_line_spoils_nothing() -> None:
    lines = [
        {"message": "duration: 2.0 ms  execute s1: select $1", "detail": "Parameters: $1 = '4'", "query_id": -77},
        {"message": "connection received"},
        {"message": "statement: select 2"},
    ]
    text = "\n".join([*map(json.dumps, lines), '{"message": "duration: 1'])
    first, second = read_log(text, "a.json")
    assert (first.text, first.queryid) == ("select '4'", "-77")
    assert (second.text, second.time_s) == ("select 2", None)


def test_csvlog_is_read() -> None:
    row = ["2026-01-01 10:00:00.000 UTC", *[""] * 25]
    row[13], row[14], row[25] = (
        'duration: 7 ms  execute <unnamed>: select "a,b"\nfrom t where c = $1',
        "Parameters: $1 = 'x'",
        "42",
    )
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([row, row])
    found = read_log(out.getvalue(), "a.csv")
    assert [one.text for one in found] == ["select \"a,b\"\nfrom t where c = 'x'"] * 2
    assert found[0].queryid == "42"


def test_auto_explain_is_read_in_text_and_json_and_not_counted_twice() -> None:
    query = "Query Text: select *\n\tfrom t where a = $1\n\tQuery Parameters: $1 = '9'"
    plan = f"{query}\n\tSeq Scan on t  (cost=0.00..1.00)"
    document = json.dumps({"Query Text": "select 3 from u", "Plan": {"Node Type": "Result"}}, indent=2).replace(
        "\n", "\n\t"
    )
    text = (
        f"x LOG:  duration: 5.0 ms  plan:\n\t{plan}\n"
        f"x LOG:  duration: 4.0 ms  plan:\n\t{document}\n"
        "x LOG:  duration: 3.0 ms  statement: select 4 from v\n"
        "x LOG:  duration: 3.0 ms  plan:\n\tQuery Text: select 4 from v\n\tSeq Scan on v  (cost=0.00..1.00)\n"
    )
    found = read_log(text, "server.log")
    assert [(one.text, one.source) for one in found] == [
        ("select 4 from v", "log"),
        ("select *\nfrom t where a = '9'", "auto_explain"),
        ("select 3 from u", "auto_explain"),
    ]


def test_a_value_that_the_log_cut_short_stays_a_parameter() -> None:
    text = "x LOG:  duration: 5 ms  execute a: select $1, $2\nx DETAIL:  Parameters: $1 = 'abc...', $2 = '7'\n"
    assert read_log(text, "l")[0].text == "select $1, '7'"


@pytest.mark.parametrize("text", ["", "nothing\nto see", "{}", '{"message": 5}', "2026-01-01 10:00:00,"])
def test_a_log_without_statements_is_refused_by_name(text: str) -> None:
    with pytest.raises(Misused, match=r"a\.log"):
        read_log(text, "a.log")
