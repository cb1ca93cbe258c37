"""The sample of `dbtune demo`, audited before its playbooks, after them, and after the audit's own fixes."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from dbtune.app.apply import Order, apply_playbook
from dbtune.app.audit import Wish, audit
from dbtune.app.demo import PLAYBOOKS
from dbtune.app.fix_playbook import fix_playbook
from dbtune.app.targets import OpenTargets
from dbtune.app.workspace import opened
from dbtune.core.findings import AuditReport
from dbtune.core.progress import silent
from dbtune.core.resources import resource
from dbtune.demo.endpoints import COURSE_STATUS, RECOMMENDATIONS
from dbtune.demo.keys import FOREIGN_KEYS
from dbtune.demo.load import load
from dbtune.demo.traffic import drive, probe
from dbtune.playbook.load import load as read_playbook
from dbtune.servers.embedded.postgres import embedded_postgres
from dbtune.servers.embedded.valkey import embedded_valkey

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SCALE = 0.03
WINDOW_S = 20.0
SLOW_S = 0.005
"""At this scale a scan of the largest table takes milliseconds."""
CURABLE = {
    "cache-memory-unbounded": False,
    "low-cache-hit-rate": True,
    "missing-foreign-key-index": True,
    "missing-index-suspected": True,
    "lock-wait-log-off": True,
    "slow-log-off": True,
}
"""What was built into the sample's servers and tables, and whether playbooks can cure it."""
PER_ITEM = "public.content_tags.content_id → public.contents.id"
PER_LESSON = {
    "public.content_tracking.content_id → public.contents.id",
    "public.content_tracking_details.tracking_id → public.content_tracking.id",
}
"""N+1 stays until somebody mends the code."""


@dataclass(frozen=True)
class Audits:
    found: AuditReport
    tuned: AuditReport
    mended: AuditReport


@pytest.fixture(scope="module")
def audits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audits]:
    """Servers of its own: playbooks set parameters of the whole server."""
    with embedded_postgres({"full_page_writes": "on"}) as postgres, embedded_valkey() as valkey:
        targets = OpenTargets(postgres.dsn, valkey.url)
        with psycopg.connect(postgres.dsn, autocommit=True) as connection:
            connection.execute("create extension if not exists pg_stat_statements")
        load(postgres.dsn, SCALE)
        found = _watched(targets)
        for name in PLAYBOOKS:
            _apply(targets, resource("playbooks") / f"{name}.yml")
        tuned = _watched(targets)
        made = fix_playbook(tuned)
        path = tmp_path_factory.mktemp("fixes") / "fixes.yml"
        path.write_text(made.text or "", encoding="utf-8")
        _apply(targets, path)
        yield Audits(found, tuned, _look(targets))


def _apply(targets: OpenTargets, path: Path) -> None:
    with opened(targets) as workspace:
        report = apply_playbook(workspace, Order(read_playbook(path)), silent)
    assert [step.error for step in report.steps if step.status == "failed"] == []


def _watched(targets: OpenTargets) -> AuditReport:
    """The audit, while the application's slow form is used; what was counted before it is forgotten."""
    dsn = targets.postgres or ""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("select pg_stat_statements_reset(), pg_stat_reset()")
    ended = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        traffic = pool.submit(drive, dsn, targets.redis, "slow", duration_s=WINDOW_S + 3, ramp_s=0.0, clients=3)
        learning = pool.submit(_learn, targets, ended)
        time.sleep(1.0)
        try:
            report = _look(targets, WINDOW_S)
        finally:
            ended.set()
        assert sum(samples.errors for samples in traffic.result().by_endpoint.values()) == 0
        learning.result()
    return report


def _learn(targets: OpenTargets, ended: threading.Event) -> None:
    """One more user, who looks at what is judged, so that it is looked at often on a slow machine too."""
    rng = random.Random(100)  # noqa: S311 - no secret
    while not ended.is_set():
        # Not in step: pages that are always looked at together could be one.
        endpoint = rng.choice((COURSE_STATUS, RECOMMENDATIONS))
        times = rng.randint(1, 8)
        probe(endpoint, targets.postgres or "", targets.redis, "slow", times=times, seed=rng.randint(0, 10**6))


def _look(targets: OpenTargets, window_s: float = 0.0) -> AuditReport:
    return audit(targets, Wish(window_s=window_s, slow_s=SLOW_S), silent)


def _names(report: AuditReport) -> set[str]:
    return {finding.name for finding in report.findings}


def _objects(report: AuditReport, name: str) -> set[str]:
    return {finding.object for finding in report.findings if finding.name == name}


def test_before_the_playbooks_every_flaw_of_servers_and_tables_is_named(audits: Audits) -> None:
    assert set(CURABLE) - _names(audits.found) == set()
    keys = {f"public.{key.table}.{key.name}" for key in FOREIGN_KEYS}
    assert _objects(audits.found, "missing-foreign-key-index") == keys


def test_before_the_playbooks_the_slow_statements_are_named(audits: Audits) -> None:
    slow = [finding for finding in audits.found.findings if finding.name == "statement-over-limit"]
    texts = " ".join(str(finding.evidence["query"]) for finding in slow)
    assert "user_interests" in texts, "the recommendation query"


def test_before_the_playbooks_the_n_plus_one_of_the_course_status_is_named(audits: Audits) -> None:
    assert _objects(audits.found, "n-plus-one") >= PER_LESSON, audits.found.skipped


def test_before_the_playbooks_the_n_plus_one_of_the_recommendations_is_named_with_its_parent(audits: Audits) -> None:
    found = [one for one in audits.found.findings if one.name == "n-plus-one" and one.object == PER_ITEM]
    assert ["user_interests" in one.evidence["parent"]["query"] for one in found] == [True]


def test_after_the_playbooks_what_they_cure_is_not_named(audits: Audits) -> None:
    # The playbooks index what is asked for; keys that nobody asks by are left to the fixes of the audit.
    left = _names(audits.tuned) - {"missing-foreign-key-index"}
    assert {name for name, curable in CURABLE.items() if curable} & left == set()
    before, after = (_objects(audit, "missing-foreign-key-index") for audit in (audits.found, audits.tuned))
    assert after < before
    assert len(after) < len(before) / 3


def test_after_the_playbook_of_safe_fixes_none_that_it_holds_is_named(audits: Audits) -> None:
    safe = {(one.name, one.object) for one in audits.tuned.findings if one.fix and one.fix.safe and one.fix.step}
    assert safe
    assert safe & {(one.name, one.object) for one in audits.mended.findings} == set()


def test_dbtunes_own_keys_are_no_finding(audits: Audits) -> None:
    assert [finding.object for finding in audits.tuned.findings if finding.object.startswith("dbtune:")] == []
