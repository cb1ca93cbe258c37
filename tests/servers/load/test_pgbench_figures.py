"""What is read from a log of pgbench's against the log itself, of a run on a real server."""

from __future__ import annotations

import math
import random
import statistics
import subprocess
from pathlib import Path

import pytest

from dbtune.baseline.histogram import quantile
from dbtune.load.pgbench_log import Columns
from dbtune.load.pgbench_output import Summary, parse_summary
from dbtune.load.recorder import Recorder
from dbtune.load.sampling import sampling_interval
from dbtune.load.stages import Stage, segments
from dbtune.load.timeline import timeline
from dbtune.servers.load.pgbench_logs import read_logs
from dbtune.servers.load.programs import find_pgbench

SHARES = (0.5, 0.9, 0.95, 0.99)
PARTS = segments([Stage.model_validate({"duration": "2s", "clients": 2})])


@pytest.fixture(scope="module")
def run(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Summary]:
    """The log of two seconds, all of it, and what pgbench said itself."""
    home = tmp_path_factory.mktemp("pgbench")
    (home / "a.sql").write_text("select count(*) from generate_series(1, 200);\n")
    command = [str(find_pgbench().path), "-n", "-M", "prepared", "-c", "2", "-j", "2", "-T", "2", "-P", "5", "-l"]
    command += [f"--log-prefix={home / 'log'}", "-f", str(home / "a.sql"), postgres_dsn]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    summary = parse_summary(done.stdout)
    assert summary is not None
    return home, summary


def rows(home: Path) -> list[str]:
    return [line for path in sorted(home.glob("log.*")) for line in path.read_text().splitlines()]


def percentile(times_s: list[float], share: float) -> float:
    """k6's and numpy's: interpolated at share * (n - 1)."""
    place = share * (len(times_s) - 1)
    below, above = times_s[math.floor(place)], times_s[math.ceil(place)]
    return below + (above - below) * (place - math.floor(place))


@pytest.mark.parametrize("every", [1, 4])
def test_percentiles_are_those_of_pgbenchs_own_log(run: tuple[Path, Summary], tmp_path: Path, every: int) -> None:
    home, summary = run
    lines = rows(home)
    times_s = sorted(int(line.split()[2]) / 1e6 for line in lines)
    numbers = random.Random(5)  # noqa: S311 - which lines are kept
    kept = [line for line in lines if numbers.random() < 1 / every]
    (tmp_path / "log.1").write_text("\n".join(kept) + "\n")
    recorder = Recorder(["a"], timeline(PARTS))
    read_logs(tmp_path, Columns(), PARTS[0], recorder, every=every, exact=summary.scripts)
    recorder.worked(0, 2, 2)
    result = recorder.result("l", "e", "closed", "p")
    assert result.sent == summary.transactions == len(lines)
    mean_s = statistics.fmean(times_s)
    # Of a sample, four standard errors: a few long ones make up much of these means.
    error_s = 4 * statistics.pstdev(times_s) / math.sqrt(len(times_s) / every) if every > 1 else 0.0
    assert result.response.mean_s == pytest.approx(mean_s, abs=max(error_s, 0.03 * mean_s))
    for share in SHARES:
        exact, found = percentile(times_s, share), quantile(result.response, share)
        interval = sampling_interval(result, share)
        # Four standard errors of the sample, and the three digits of a histogram.
        reach = 0.002 * exact if interval is None else max(interval[1] - interval[0], 0.002 * exact)
        assert found == pytest.approx(exact, abs=reach), share
