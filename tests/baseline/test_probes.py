from __future__ import annotations

import pytest

from dbtune.baseline.probes import Probe, block_sizes, check_names, into_blocks, parse_pair, parse_probes
from dbtune.core.errors import Misused


def test_a_file_names_probes_with_params() -> None:
    text = "probes:\n- {name: feed, sql: select $1, params: [42], repeat: 9}\n- {name: course, flow: 'app:course'}"
    assert parse_probes(text, "p.yml") == (
        Probe("feed", sql="select $1", params=(42,), repeat=9),
        Probe("course", flow="app:course"),
    )


@pytest.mark.parametrize(
    "text",
    [
        "", "probes: []", "probes: [1]", "a: [", "probes: [{sql: select 1}]", "probes: [{name: x}]",
        "probes: [{name: x, sql: s, flow: f}]", "probes: [{name: x, sql: s, repeats: 3}]",
        "probes: [{name: x, sql: s, repeat: 0}]", "probes: [{name: x, sql: s, params: 3}]",
        "!!python/object/apply:os.system [id]",
    ],
)  # fmt: skip
def test_a_file_that_names_none_is_one_clear_error(text: str) -> None:
    with pytest.raises(Misused, match=r"p\.yml"):
        parse_probes(text, "p.yml")


def test_a_pair_keeps_equals_signs_of_the_statement() -> None:
    assert parse_pair("feed=select * from t where id = 1", "--probe") == ("feed", "select * from t where id = 1")
    with pytest.raises(Misused, match="NAME=SQL"):
        parse_pair("select 1", "--probe")


def test_a_name_stands_once() -> None:
    with pytest.raises(Misused, match="two probes"):
        check_names([Probe("a", sql="select 1"), Probe("a", sql="select 2")])


def test_blocks_keep_every_repetition_in_order() -> None:
    values = [float(number) for number in range(50)]
    blocks = into_blocks(values)
    assert len(blocks) == 6
    assert [value for block in blocks for value in block] == values
    assert into_blocks([1.0]) == ((1.0,),)


def test_a_few_repetitions_are_three_blocks_and_very_few_are_one() -> None:
    assert block_sizes(400) == (67, 66, 67, 67, 66, 67)
    assert [block_sizes(repeat) for repeat in (24, 20, 12, 11)] == [(8, 8, 8), (7, 6, 7), (4, 4, 4), (11,)]
