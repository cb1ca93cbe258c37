"""`dbtune schedule`: what it prints is run by the real sh, systemd-analyze and a YAML parser."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

from dbtune.core.resources import resource

CATALOG = str(resource("playbooks") / "product-catalog.yml")
PROGRAM = str(Path(sys.executable).parent / "dbtune")


def test_a_crontab_has_a_line_for_each_interval(dbtune: Any) -> None:
    answer = dbtune.run("schedule", CATALOG)
    lines = [line for line in answer.out.splitlines() if line and not line.startswith("#")]
    assert answer.code == 0
    assert [" ".join(line.split()[:5]) for line in lines] == [
        "*/5 * * * *", "1-59/15 * * * *", "2-59/30 * * * *", "3 */2 * * *",
    ]  # fmt: skip
    assert "--only what-the-front-page-features" in lines[0]


def test_a_line_runs_as_cron_would_run_it_whatever_is_in_the_paths(dbtune: Any) -> None:
    """Cron gives five variables, a bare environment and /bin/sh, and makes line breaks of bare percent signs."""
    odd = dbtune.home / "50% of $HOME 'quoted'"
    odd.mkdir()
    playbook = odd / "play book.yml"
    shutil.copy(CATALOG, playbook)
    (odd / "secrets.env").write_text("REDIS_URL='redis://cache:6379/0'\nGREETING=\"it's $HOME\"\n")
    # Stands for dbtune: says what it was given.
    program = odd / "dbtune"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$REDIS_URL" "$GREETING" "$@"\n')
    program.chmod(0o755)
    made = dbtune.run("schedule", str(playbook), "--env-file", str(odd / "secrets.env"), "--program", str(program))
    line = next(line for line in made.out.splitlines() if line.startswith("*/5"))
    command = line.split(None, 5)[5]
    assert "%" not in command.replace("\\%", "")
    ran = subprocess.run(
        ["/bin/sh", "-c", command.replace("\\%", "%")],
        env={"HOME": str(dbtune.home), "LOGNAME": "me", "USER": "me", "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"},
        cwd=dbtune.home, capture_output=True, text=True, check=True,
    )  # fmt: skip
    redis_url, greeting, *arguments = ran.stdout.splitlines()
    assert (redis_url, greeting) == ("redis://cache:6379/0", f"it's {dbtune.home}")
    assert arguments[:3] == ["warm", str(playbook), "--only"]


def test_a_line_with_the_real_program_warms_a_real_cache(dbtune: Any, cache_url: str) -> None:
    dbtune.sql("create table pages (id int); insert into pages values (1), (2)")
    warm = {"cache_warm": {"key": "page:{id}", "query": "select id from pages", "ttl": "10min", "every": "5min"}}
    playbook = dbtune.playbook(yaml.safe_dump({"version": 1, "name": "pages", "steps": [warm]}))
    variables = dbtune.home / "pages.env"
    variables.write_text(f"DATABASE_URL='{dbtune.dsn}'\nREDIS_URL='{cache_url}'\n")
    made = dbtune.run("schedule", playbook, "--env-file", str(variables), "--program", PROGRAM)
    line = next(line for line in made.out.splitlines() if line.startswith("*/5 "))
    for _ in range(2):
        ran = subprocess.run(
            ["/bin/sh", "-c", line.split(None, 5)[5].replace("\\%", "%")],
            env={"HOME": str(dbtune.home), "LOGNAME": "me", "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"},
            cwd=dbtune.home, capture_output=True, text=True, check=False,
        )  # fmt: skip
        # Cron would mail whatever it says.
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    with redis.Redis.from_url(cache_url) as client:
        assert set(client.scan_iter("page:*")) == {b"page:1", b"page:2"}


def test_units_pass_systemd_analyze_verify(dbtune: Any, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("there is no systemd-analyze here")
    units = tmp_path / "units"
    units.mkdir()
    answer = dbtune.run(
        "schedule", CATALOG, "--format", "systemd", "--output", str(units), "--program", PROGRAM,
        "--env-file", "/etc/dbtune/shop.env",
    )  # fmt: skip
    assert (answer.code, answer.out) == (0, "")
    names = sorted(path.name for path in units.iterdir())
    assert len(names) == 9
    assert "dbtune-product-catalog-5min.timer" in names
    checked = subprocess.run(
        [analyze, "verify", "--man=no", *(str(units / name) for name in names)],
        capture_output=True, text=True, check=False, env={"SYSTEMD_UNIT_PATH": f"{units}:", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    complaints = [line for line in checked.stderr.splitlines() if "dbtune" in line]
    assert (complaints, checked.returncode) == ([], 0), checked.stderr
    for timer in units.glob("*.timer"):
        calendar = next(line for line in timer.read_text().splitlines() if line.startswith("OnCalendar="))
        subprocess.run([analyze, "calendar", calendar.partition("=")[2]], check=True, capture_output=True)


def test_units_go_into_a_directory_that_is_there_and_never_into_one_file(dbtune: Any, tmp_path: Path) -> None:
    place = tmp_path / "not yet"
    answer = dbtune.run("schedule", CATALOG, "--format", "systemd", "--output", str(place))
    assert (answer.code, "each unit is a file" in answer.err, "mkdir -p" in answer.err) == (2, True, True)
    assert not place.exists()


def test_a_service_says_who_is_told_of_failures_and_a_timer_its_delay(dbtune: Any) -> None:
    text = dbtune.run("schedule", CATALOG, "--format", "systemd").out
    assert "OnFailure=dbtune-failed@%n.service" in text
    assert "RandomizedDelaySec=12" in text
    assert "# /etc/systemd/system/dbtune-product-catalog-2h.timer" in text


def test_cron_jobs_of_kubernetes_forbid_two_at_once(dbtune: Any) -> None:
    documents = list(yaml.safe_load_all(dbtune.run("schedule", CATALOG, "--format", "kubernetes").out))
    assert [document["kind"] for document in documents] == ["CronJob"] * 4
    for document in documents:
        spec = document["spec"]
        assert spec["concurrencyPolicy"] == "Forbid"
        container = spec["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
        assert container["args"][:2] == ["warm", "/playbook/playbook.yml"]
        assert container["envFrom"]


def test_as_json(dbtune: Any) -> None:
    document = dbtune.json("schedule", CATALOG).document
    assert document["schema"] == "dbtune.schedule/1"
    assert [job["every_s"] for job in document["jobs"]] == [300, 900, 1800, 7200]


def test_a_playbook_without_a_warm_up_has_nothing_to_run_by_the_clock(dbtune: Any) -> None:
    answer = dbtune.run("schedule", str(resource("playbooks") / "slow-query-logging.yml"))
    assert answer.code == 2
    assert "no cache_warm step" in answer.err


def test_a_path_with_a_line_break_is_refused(dbtune: Any) -> None:
    answer = dbtune.run("schedule", CATALOG, "--env-file", "/etc/a\nb")
    assert answer.code == 2
    assert "line break" in answer.err
