"""RD020 on a real server: what lives long is told once memory is short."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis
from topologies import plain_server

from dbtune.app.audit import Wish, audit
from dbtune.app.targets import OpenTargets
from dbtune.core.findings import AuditReport
from dbtune.core.progress import silent


def look(port: int) -> AuditReport:
    return audit(OpenTargets(None, f"redis://127.0.0.1:{port}/0"), Wish(only=("RD020",)), silent)


@pytest.mark.parametrize(("policy", "severity"), [("allkeys-lru", "info"), ("noeviction", "warning")])
def test_the_prefix_that_holds_a_nearly_full_cache_longest_is_named(
    policy: str, severity: str, redis_program: Path | None
) -> None:
    with plain_server(redis_program, maxmemory_policy=policy) as (_, port), redis.Redis(port=port) as client:
        for number in range(200):
            client.set(f"page:{number}", "x" * 5000, ex=40_000)
            client.set(f"session:{number}", "x" * 5000, ex=600)
        assert look(port).findings == (), "without a limit nothing is short"
        used_bytes = int(client.info("memory")["used_memory"])
        client.config_set("maxmemory", 2 * used_bytes)
        assert look(port).findings == (), "half of it is free"
        client.config_set("maxmemory", used_bytes * 10 // 9 + (1 << 20) // 9)
        (found,) = look(port).findings
        assert (found.object, found.severity) == ("page:*", severity)
        assert 39_000 < found.evidence["half_expires_after_s"] <= 40_000
        assert found.evidence["share_of_bytes"] == pytest.approx(0.5, abs=0.05)
        for number in range(200):
            client.expire(f"page:{number}", 1200)
        assert look(port).findings == (), "nothing lives long enough to be shortened"


def test_a_user_who_may_not_look_at_keys_is_told(redis_program: Path | None) -> None:
    with plain_server(redis_program) as (_, port), redis.Redis(port=port) as client:
        client.execute_command("ACL", "SETUSER", "narrow", "reset", "on", ">pw", "~*", "+@all", "-scan")
        report = audit(OpenTargets(None, f"redis://narrow:pw@127.0.0.1:{port}/0"), Wish(only=("RD020",)), silent)
    (left_out,) = report.skipped
    assert "scan" in left_out.reason
