from __future__ import annotations

from pathlib import Path

import pytest

from dbtune.load.pgbench_log import Columns
from dbtune.load.pgbench_output import Exact
from dbtune.load.recorder import Recorder
from dbtune.load.stages import Stage, segments
from dbtune.load.timeline import timeline
from dbtune.servers.load.pgbench_logs import LiveLog, read_logs

PARTS = segments([Stage.model_validate({"duration": "6s", "clients": 2})])
EPOCH = 1_795_404_952


def line(second: float, time_us: int = 1000, script: int = 0) -> str:
    return f"0 1 {time_us} {script} {EPOCH + int(second)} {round(second % 1 * 1e6)}\n"


def recorder() -> Recorder:
    return Recorder(["a", "b"], timeline(PARTS))


def test_the_files_of_all_threads_are_one_log(tmp_path: Path) -> None:
    (tmp_path / "log.77").write_text("".join(line(second + 0.5) for second in range(6)))
    (tmp_path / "log.77.1").write_text("".join(line(second + 0.7, script=1) for second in range(6)))
    found = recorder()
    reading = read_logs(tmp_path, Columns(), PARTS[0], found)
    found.worked(0, 6, 6)
    assert (reading.transactions, reading.unreadable) == (12, 0)
    result = found.result("l", "e", "closed", "p")
    assert [moment.rate for moment in result.series] == [2] * 6
    assert [block.sent for block in result.blocks] == [2] * 6
    assert not list(tmp_path.iterdir())


def test_the_cut_off_line_of_a_killed_run_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "log.77").write_text(line(0.5) + line(1.5) + line(2.5)[:-5])
    found = recorder()
    reading = read_logs(tmp_path, Columns(), PARTS[0], found)
    assert (reading.transactions, reading.unreadable) == (2, 0)


def test_what_ends_after_the_stretch_belongs_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "log.77").write_text(line(0.5) + line(9.0, time_us=3_000_000))
    found = recorder()
    read_logs(tmp_path, Columns(), PARTS[0], found)
    found.worked(0, 6, 6)
    assert [block.sent for block in found.result("l", "e", "closed", "p").blocks] == [1, 0, 0, 0, 0, 1]


def test_a_sample_is_scaled_up(tmp_path: Path) -> None:
    (tmp_path / "log.77").write_text("".join(line(second + 0.5) for second in range(6)))
    found = recorder()
    read_logs(tmp_path, Columns(), PARTS[0], found, every=10)
    found.worked(0, 6, 6)
    result = found.result("l", "e", "closed", "p")
    assert (result.sent, result.timed) == (60, 6)


def test_a_sample_is_brought_to_the_exact_counts_and_means_of_each_script(tmp_path: Path) -> None:
    (tmp_path / "log.77").write_text(
        "".join(line(second + 0.5, 1000) + line(second + 0.6, 4000, script=1) for second in range(6))
        + f"0 1 deadlock 1 {EPOCH + 2} 500\n"
    )
    found = recorder()
    exact = (Exact(63, 0.0011, 0), Exact(55, 0.0038, 13))
    read_logs(tmp_path, Columns(), PARTS[0], found, every=10, exact=exact)
    found.worked(0, 6, 6)
    result = found.result("l", "e", "closed", "p")
    assert (result.sent, result.failed, result.timed) == (63 + 55 + 13, 13, 12)
    assert [sum(block.sent for block in stream.blocks) for stream in result.streams] == [63, 68]
    assert [stream.response.mean_s for stream in result.streams] == pytest.approx([0.0011, 0.0038])
    assert result.errors == {"deadlock": 13}
    assert sum(moment.rate for moment in result.series) == pytest.approx(118)


def test_of_failures_that_the_sample_missed_none_is_lost(tmp_path: Path) -> None:
    (tmp_path / "log.77").write_text(line(0.5))
    found = recorder()
    read_logs(tmp_path, Columns(), PARTS[0], found, every=10, exact=(Exact(9, 0.001, 4), Exact(7, 0.001, 0)))
    found.worked(0, 6, 6)
    result = found.result("l", "e", "closed", "p")
    assert (result.sent, result.failed) == (20, 4)


def test_an_empty_log_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "log.77").write_text("")
    assert read_logs(tmp_path, Columns(), PARTS[0], recorder()).transactions == 0


def test_the_latest_lines_are_read_once_and_never_in_halves(tmp_path: Path) -> None:
    path = tmp_path / "log.77"
    live = LiveLog(tmp_path, Columns())
    assert live.times_us() == []
    path.write_text(line(0.5, 10) + line(0.6, 20) + line(0.7, 30)[:9])
    assert live.times_us() == [10, 20]
    with path.open("a") as file:
        file.write(line(0.7, 30)[9:] + line(0.8, 5))
    assert live.times_us() == [5, 30]
    assert live.times_us() == []


@pytest.mark.parametrize("count", [5_000, 200_000])
def test_of_a_log_that_grows_fast_the_end_is_read(tmp_path: Path, count: int) -> None:
    live = LiveLog(tmp_path, Columns())
    (tmp_path / "log.77").write_text(line(0.5, 111) * count)
    times = live.times_us()
    assert set(times) == {111}
    assert len(times) < 2_000


def test_a_clock_that_jumps_moves_nothing_out_of_its_stretch(tmp_path: Path) -> None:
    later = "".join(line(second + 3600) for second in range(3))
    earlier = "".join(line(second - 3600) for second in range(3))
    (tmp_path / "log.77").write_text(line(0.5) + line(1.5) + later + earlier)
    found = recorder()
    read_logs(tmp_path, Columns(), PARTS[0], found)
    found.worked(0, 6, 6)
    result = found.result("l", "e", "closed", "p")
    assert (result.sent, result.duration_s) == (8, 6)
    assert sum(moment.rate for moment in result.series) == 8
    assert result.response.high_s == 0.001
