"""Each check of Redis on a real server: a state in which it fires, and one in which it does not."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from patience import until

from dbtune.app.audit import Wish, audit
from dbtune.app.targets import OpenTargets
from dbtune.checks.check import checks
from dbtune.checks.expiry_herd import fullest_minute
from dbtune.core.findings import AuditReport, Finding
from dbtune.core.progress import Progress
from dbtune.servers.embedded.valkey import EmbeddedValkey, embedded_valkey

CACHE_CHECKS = sorted(code for code, check in checks().items() if check.source == "redis")
ORDERLY = {
    "maxmemory": "256mb",
    "maxmemory-policy": "allkeys-lru",
    "latency-monitor-threshold": "1000",
    "slowlog-log-slower-than": "1000000",
}
"""A cache that nothing is wrong with, on a machine that may be busy."""
FILL = "for i = tonumber(ARGV[2]), tonumber(ARGV[3]) do redis.call('SET', ARGV[1] .. i, string.rep('v', ARGV[4])) end"


@pytest.fixture
def server(redis_program: Path | None) -> Iterator[EmbeddedValkey]:
    with embedded_valkey(ORDERLY, program=redis_program) as started:
        yield started


@pytest.fixture
def client(server: EmbeddedValkey) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(server.url) as connected:
        yield connected


def look(url: str, *codes: str, during: Callable[[], object] | None = None, window_s: float = 0.0) -> AuditReport:
    """The report of these checks; `during` happens once the audit watches, however slow the machine is."""
    return audit(OpenTargets(None, url), Wish(only=codes, window_s=window_s), _once_watching(during))


def _once_watching(act: Callable[[], object] | None) -> Progress:
    left = [act] if act else []

    def progress(text: str, fraction: float | None = None) -> None:
        if text == "watching Redis" and left:
            left.pop()()

    return progress


def one(report: AuditReport) -> Finding:
    assert len(report.findings) == 1, report
    return report.findings[0]


def fill(
    client: redis.Redis, prefix: str, count: int, *, size: int = 10, ex: Callable[[int], int] | None = None
) -> None:
    with client.pipeline(transaction=False) as pipe:
        for number in range(count):
            pipe.set(f"{prefix}{number}", "v" * size, ex=ex(number) if ex else None)
        pipe.execute()


def ask(client: redis.Redis, hits: int, misses: int) -> Callable[[], None]:
    client.set("known", "1", ex=3600)

    def asking() -> None:
        with client.pipeline(transaction=False) as pipe:
            for name in ["known"] * hits + ["unknown"] * misses:
                pipe.get(name)
            pipe.execute()

    return asking


def test_an_orderly_cache_has_no_findings_and_every_check_looked(server: EmbeddedValkey, client: redis.Redis) -> None:
    fill(client, "user:", 2000, ex=lambda number: 600 + number * 7)
    report = look(server.url, *CACHE_CHECKS, during=ask(client, 300, 20), window_s=0.6)
    assert report.findings == ()
    assert report.skipped == ()
    assert report.examined == tuple(CACHE_CHECKS)


def test_memory_without_a_limit_is_critical(server: EmbeddedValkey, client: redis.Redis) -> None:
    assert look(server.url, "RD001").findings == ()
    client.config_set("maxmemory", 0)
    evicting = one(look(server.url, "RD001")).fix
    assert evicting is not None
    assert (len(evicting.sql), evicting.then) == (2, ()), "its policy is left as it is"
    client.config_set("maxmemory-policy", "noeviction")
    finding = one(look(server.url, "RD001"))
    assert finding.severity == "critical"
    assert finding.fix is not None
    assert finding.fix.sql[1] == "CONFIG SET maxmemory-policy allkeys-lru"
    for command in finding.fix.sql[:2]:
        client.config_set(*command.split()[2:])
    assert look(server.url, "RD001").findings == ()


def test_a_nearly_full_cache_that_may_not_evict_is_critical(server: EmbeddedValkey, client: redis.Redis) -> None:
    client.config_set("maxmemory-policy", "noeviction")
    assert look(server.url, "RD002").findings == ()
    used = client.info("memory")["used_memory"]
    client.config_set("maxmemory", int(used * 1.2))
    assert one(look(server.url, "RD002")).severity == "critical"
    client.config_set("maxmemory-policy", "allkeys-lru")
    assert look(server.url, "RD002").findings == ()


def test_a_volatile_policy_wants_keys_that_expire(server: EmbeddedValkey, client: redis.Redis) -> None:
    fill(client, "lasting:", 150)
    assert look(server.url, "RD003").findings == ()
    client.config_set("maxmemory-policy", "volatile-lfu")
    finding = one(look(server.url, "RD003"))
    assert finding.evidence == {"policy": "volatile-lfu", "keys": 150, "expiring": 0}
    assert finding.fix is not None
    assert finding.fix.sql[0] == "CONFIG SET maxmemory-policy allkeys-lfu"
    fill(client, "passing:", 200, ex=lambda _: 3600)
    assert look(server.url, "RD003").findings == ()


def test_the_hit_rate_is_judged_over_the_window_only(server: EmbeddedValkey, client: redis.Redis) -> None:
    ask(client, 0, 5000)()
    quiet = look(server.url, "RD004", during=ask(client, 190, 10), window_s=0.5)
    assert quiet.findings == ()
    assert quiet.examined == ("RD004",)
    finding = one(look(server.url, "RD004", during=ask(client, 60, 140), window_s=0.5))
    assert finding.evidence["hit_rate"] == pytest.approx(0.3)


def test_without_a_window_or_without_traffic_the_hit_rate_is_not_examined(server: EmbeddedValkey) -> None:
    for window_s, words in ((0.0, "over a window"), (0.2, "too few")):
        report = look(server.url, "RD004", window_s=window_s)
        assert report.examined == ()
        assert words in report.skipped[0].reason
        assert "--window" in str(report.skipped[0].hint)


def test_a_counter_that_was_reset_within_the_window_is_noticed(server: EmbeddedValkey, client: redis.Redis) -> None:
    ask(client, 500, 500)()
    report = look(server.url, "RD004", during=client.config_resetstat, window_s=0.5)
    assert "reset" in report.skipped[0].reason


def test_keys_without_expiry_are_counted_and_named_by_prefix(server: EmbeddedValkey, client: redis.Redis) -> None:
    fill(client, "session:", 300, ex=lambda number: 100 + number)
    assert look(server.url, "RD005").findings == ()
    fill(client, "rec:content:", 300)
    finding = one(look(server.url, "RD005"))
    assert finding.severity == "info", "this policy may evict them"
    assert finding.evidence["sampled_without_expiry"] == {"rec:content:*": 300}
    client.config_set("maxmemory-policy", "volatile-lru")
    assert one(look(server.url, "RD005")).severity == "warning"


def test_a_herd_of_expiries_is_found_and_spread_ones_are_not(server: EmbeddedValkey, client: redis.Redis) -> None:
    fill(client, "spread:", 500, ex=lambda number: 600 + number * 12)
    fill(client, "short:", 500, ex=lambda number: 1 + number % 60)
    fill(client, "few:", 40, ex=lambda _: 3600)
    assert look(server.url, "RD006").findings == ()
    fill(client, "herd:", 500, ex=lambda number: 3600 if number < 200 else 4000 + number * 12)
    finding = one(look(server.url, "RD006"))
    assert finding.object == "herd:*"
    assert finding.evidence["keys_in_one_minute"] in range(200, 210)


def test_the_fullest_minute_is_found_wherever_it_begins() -> None:
    assert fullest_minute([0.0, 50.0, 100.0, 109.0, 111.0]) == (3, 50.0)
    assert fullest_minute([5.0]) == (1, 5.0)


def test_expiries_explain_a_low_hit_rate(server: EmbeddedValkey, client: redis.Redis) -> None:
    fill(client, "later:", 100, ex=lambda _: 3600)
    asking = ask(client, 50, 100)

    def passing() -> None:
        with client.pipeline(transaction=False) as pipe:
            for number in range(200):
                pipe.set(f"soon:{number}", "v", px=20)
            pipe.execute()
        asking()
        until(lambda: client.info("stats")["expired_keys"] == 200, "it comes to that")

    finding = one(look(server.url, "RD007", during=passing, window_s=0.5))
    assert finding.evidence["expired"] == 200
    assert finding.evidence["half_expires_within_s"] > 3000
    assert look(server.url, "RD007", during=asking, window_s=0.5).findings == ()


def test_big_keys_are_found_with_their_kind_and_length(server: EmbeddedValkey, client: redis.Redis) -> None:
    client.set("small", "v" * 1000)
    assert look(server.url, "RD008").findings == ()
    client.set("page", "v" * 200_000)
    client.hset("profile", mapping={str(number): "v" * 100 for number in range(6000)})
    found = {finding.object: finding for finding in look(server.url, "RD008").findings}
    assert {name: finding.severity for name, finding in found.items()} == {"page": "info", "profile": "warning"}
    assert found["profile"].evidence["elements"] == 6000
    assert found["page"].evidence["kind"] == "string"


def test_what_warming_notes_about_its_keys_is_no_big_key(server: EmbeddedValkey, client: redis.Redis) -> None:
    client.zadd("dbtune:tag:contents", {f"rec:content:{number}:full": 1 for number in range(6000)})
    assert look(server.url, "RD008").findings == ()


def test_a_prefix_that_holds_most_of_the_memory_is_named(server: EmbeddedValkey, client: redis.Redis) -> None:
    fill(client, "thumb:", 200, size=1000)
    fill(client, "user:", 200, size=1000)
    assert look(server.url, "RD009").findings == ()
    fill(client, "thumb:", 300, size=50_000)
    finding = one(look(server.url, "RD009"))
    assert finding.object == "thumb:*"
    assert finding.evidence["size_bytes"] > 15_000_000


def test_memory_that_is_held_and_not_used_is_found(server: EmbeddedValkey, client: redis.Redis) -> None:
    assert look(server.url, "RD010").findings == (), "a small server's ratio means nothing"
    for number in range(15):
        client.eval(FILL, 0, "filler:", number * 10_000, number * 10_000 + 9_999, 300)
    keys = [f"filler:{number}" for number in range(150_000) if number % 8]
    for start in range(0, len(keys), 5000):
        client.delete(*keys[start : start + 5000])
    # The server looks at its own memory ten times a second, or when it gets round to it.
    until(lambda: client.info("memory")["mem_fragmentation_ratio"] > 1.5, "a look at what is left")
    finding = one(look(server.url, "RD010"))
    assert finding.evidence["ratio"] > 1.4
    assert finding.evidence["wasted_bytes"] > 10 << 20
    assert finding.severity == "info", "less than 100 MB"


def test_slow_commands_are_grouped_by_command_and_prefix(server: EmbeddedValkey, client: redis.Redis) -> None:
    client.get("user:1")
    assert look(server.url, "RD011").findings == ()
    client.config_set("slowlog-log-slower-than", 0)
    for number in range(5):
        client.get(f"user:{number}")
    client.keys("user:*")
    found = {finding.object: finding for finding in look(server.url, "RD011").findings}
    assert found["GET user:*"].evidence["count"] == 5
    assert found["GET user:*"].severity == "info"
    assert found["KEYS"].severity == "warning"
    assert "MEMORY" not in " ".join(found), "our own commands are not the person's"


def test_a_slow_log_that_is_off_is_not_called_empty(server: EmbeddedValkey, client: redis.Redis) -> None:
    client.config_set("slowlog-log-slower-than", -1)
    assert look(server.url, "RD011").skipped[0].reason == "the slow log is off"


def test_latency_events_are_told(server: EmbeddedValkey, client: redis.Redis) -> None:
    assert look(server.url, "RD012").findings == ()
    client.config_set("latency-monitor-threshold", 5)
    client.eval("local x = 0; for i = 1, 1e7 do x = x + i end", 0)
    finding = look(server.url, "RD012").findings[0]
    assert finding.evidence["worst_s"] >= 0.005
    client.latency_reset()
    client.config_set("latency-monitor-threshold", 0)
    assert look(server.url, "RD012").skipped[0].reason == "the latency monitor is off"


def test_a_pool_of_blocked_clients_is_told_and_a_worker_is_not(server: EmbeddedValkey, client: redis.Redis) -> None:
    with contextlib.ExitStack() as stack:

        def wait(name: str) -> None:
            worker = stack.enter_context(redis.Redis.from_url(server.url, client_name=name))
            threading.Thread(target=_blocked, args=(worker,), daemon=True).start()

        wait("worker")
        until(lambda: client.info("clients")["blocked_clients"] == 1, "it comes to that")
        assert look(server.url, "RD013").findings == ()
        for _ in range(14):
            wait("pool")
        until(lambda: client.info("clients")["blocked_clients"] == 15, "it comes to that")
        finding = one(look(server.url, "RD013"))
        assert finding.evidence["blocked_by_client"] == {"pool": 14, "worker": 1}
        for _ in range(15):
            client.lpush("queue", "done")
        until(lambda: client.info("clients")["blocked_clients"] == 0, "it comes to that")


def test_a_server_that_runs_out_of_connections_is_told(server: EmbeddedValkey, client: redis.Redis) -> None:
    assert look(server.url, "RD014").findings == ()
    client.config_set("maxclients", 20)
    with contextlib.ExitStack() as stack:
        for _ in range(18):
            stack.enter_context(redis.Redis.from_url(server.url)).ping()
        assert one(look(server.url, "RD014")).severity == "critical"


def test_many_connections_from_one_place_are_told(server: EmbeddedValkey, client: redis.Redis) -> None:
    assert look(server.url, "RD018").findings == ()
    with contextlib.ExitStack() as stack:
        for _ in range(110):
            stack.enter_context(redis.Redis.from_url(server.url)).ping()
        assert one(look(server.url, "RD018")).evidence["connections"] > 110


def test_a_failed_save_is_critical(server: EmbeddedValkey, client: redis.Redis) -> None:
    assert look(server.url, "RD015").findings == ()
    # A directory stands where the snapshot has to be renamed to.
    snapshot = Path(str(client.config_get("dir")["dir"])) / "dump.rdb"
    snapshot.mkdir()
    try:
        client.bgsave()
        until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", "it comes to that")
        finding = one(look(server.url, "RD015"))
    finally:
        snapshot.rmdir()
    assert finding.severity == "critical"
    assert "snapshot" in finding.message


def test_a_replica_without_its_primary_is_critical(server: EmbeddedValkey, client: redis.Redis) -> None:
    assert look(server.url, "RD016").findings == ()
    client.replicaof("127.0.0.1", 1)
    finding = one(look(server.url, "RD016"))
    assert finding.severity == "critical"
    assert "127.0.0.1:1" in finding.message


def test_a_replica_that_follows_is_in_order(redis_program: Path | None) -> None:
    with (
        embedded_valkey(ORDERLY, program=redis_program, tcp=True) as primary,
        embedded_valkey(ORDERLY, program=redis_program) as follower,
    ):
        port = redis.Redis.from_url(primary.url).connection_pool.connection_kwargs["port"]
        password = redis.Redis.from_url(primary.url).connection_pool.connection_kwargs["password"]
        with redis.Redis.from_url(follower.url) as replica, redis.Redis.from_url(primary.url) as leading:
            leading.config_set("repl-diskless-sync-delay", 0)
            replica.config_set("masterauth", password)
            replica.replicaof("127.0.0.1", port)
            until(lambda: replica.info("replication")["master_link_status"] == "up", "it comes to that")
            until(lambda: leading.info("replication").get("slave0", {}).get("state") == "online", "it comes to that")
            assert look(follower.url, "RD016").findings == ()
            assert look(primary.url, "RD016").findings == ()


def test_a_server_that_goes_away_meanwhile_costs_its_checks_and_not_the_audit(
    server: EmbeddedValkey, client: redis.Redis, database: str
) -> None:
    leave = _once_watching(lambda: client.shutdown(nosave=True))
    report = audit(OpenTargets(database, server.url), Wish(only=("RD001", "PG002"), window_s=0.3), leave)
    assert report.examined == ("PG002",)
    assert "connection" in report.skipped[0].reason


def test_evictions_explain_a_low_hit_rate(server: EmbeddedValkey, client: redis.Redis) -> None:
    asking = ask(client, 50, 100)
    client.config_set("maxmemory", client.info("memory")["used_memory"] + 500_000)

    def crowd() -> None:
        fill(client, "crowd:", 3000, size=1000)
        asking()

    assert one(look(server.url, "RD017", during=crowd, window_s=1.0)).evidence["evicted"] > 1000
    client.config_set("maxmemory", 256 << 20)
    assert look(server.url, "RD017", during=asking, window_s=0.5).findings == ()


def _blocked(worker: redis.Redis) -> None:
    with contextlib.suppress(redis.RedisError):
        worker.blpop(["queue"], timeout=30)


def test_a_tag_whose_members_have_expired_is_a_leak_and_a_set_of_words_is_none(
    server: EmbeddedValkey, client: redis.Redis
) -> None:
    client.sadd("tag:feeds", *(f"feed:{number}" for number in range(300)))
    client.sadd("popular:tags", *(f"word{number}" for number in range(300)))
    client.mset({f"feed:{number}": "v" for number in range(300)})
    assert look(server.url, "RD019").findings == ()
    client.unlink(*(f"feed:{number}" for number in range(150)))
    finding = one(look(server.url, "RD019"))
    assert finding.object == "tag:feeds"
    assert finding.evidence["members"] == 300
    assert 0.2 < finding.evidence["share"] < 0.8
