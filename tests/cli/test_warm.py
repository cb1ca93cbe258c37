"""`dbtune warm` as people and cron run it."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import redis

KEYS = {"name", "keys", "bytes", "skipped", "failed", "duration_s", "keys_per_s"}


def book(*steps: str) -> str:
    return "version: 1\nname: shop\nsteps:\n" + "".join(steps)


def step(query: str = "select id, note from items", more: str = "", key: str = "item:{id}") -> str:
    return f'  - id: items\n    cache_warm: {{key: "{key}", query: "{query}", ttl: 1h, {more}}}\n'


@pytest.fixture
def client(cache_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(cache_url) as client:
        yield client


@pytest.fixture
def shop(items: Any, cache_url: str) -> Any:
    items.environment["REDIS_URL"] = cache_url
    return items


def test_every_row_is_written_and_said_in_the_documented_form(shop: Any, client: redis.Redis) -> None:
    path = shop.playbook(book(step(more="tags: [items]")))
    answer = shop.json("warm", path)
    assert answer.code == 0, answer
    assert answer.document["schema"] == "dbtune.warm/1"
    assert answer.document["dry_run"] is False
    (row,) = answer.document["steps"]
    assert set(row) >= KEYS
    assert (row["name"], row["keys"], row["skipped"], row["failed"]) == ("Warm item:{id}", 2000, 0, 0)
    assert row["bytes"] > 2000 * len("item:1")
    assert json.loads(cast("bytes", client.get("item:7"))) == {"id": 7, "note": "note 7"}
    assert client.zcard("dbtune:tag:items") == 2000
    assert client.keys("dbtune:lock:*") == client.keys("dbtune:warm:*:at") == []


def test_a_run_in_which_all_went_well_says_nothing_to_cron(shop: Any) -> None:
    answer = shop.run("warm", shop.playbook(book(step())))
    assert (answer.code, answer.out, answer.err) == (0, "", "")


def test_a_failure_is_said_to_cron_with_what_to_do(shop: Any) -> None:
    answer = shop.run("warm", shop.playbook(book(step("select id from nowhere"))))
    assert answer.code == 3
    assert 'relation "nowhere" does not exist' in answer.out


def test_whoever_asks_for_a_form_gets_it_also_in_a_pipe(shop: Any) -> None:
    path = shop.playbook(book(step()))
    assert "2,000 keys written" in shop.run("warm", path, "--format", "terminal").out
    assert "2,000 keys written" in shop.run("warm", path, "--verbose").out


@pytest.mark.parametrize(("form", "name"), [("markdown", r"Warm \<i\>\|\{id\}"), ("html", "Warm &lt;i&gt;|{id}")])
def test_a_run_is_shown_as_a_page_with_harmless_names(form: str, name: str, shop: Any) -> None:
    broken = step("select id from nowhere", key="other:{id}").replace("id: items", "id: broken")
    answer = shop.run("warm", shop.playbook(book(step(key="<i>|{id}"), broken)), "--format", form)
    assert answer.code == 4, "it failed in part"
    assert name in answer.out
    assert "1 of 2 steps failed; 2,000 keys written" in answer.out
    assert "nowhere" in answer.out


def test_a_column_that_the_query_lacks_is_named_before_anything_is_written(shop: Any, client: redis.Redis) -> None:
    answer = shop.json("warm", shop.playbook(book(step(key="item:{idd}"))))
    assert answer.code == 3
    assert answer.errors.startswith('the query has no column "idd" (')
    assert client.dbsize() == 0


def test_a_dry_run_tells_what_is_due_and_writes_nothing(shop: Any, client: redis.Redis) -> None:
    answer = shop.json("warm", shop.playbook(book(step())), "--dry-run")
    assert answer.document["dry_run"] is True
    assert [(row["status"], row["keys"]) for row in answer.document["steps"]] == [("would_warm", 2000)]
    assert client.dbsize() == 0


def test_what_is_not_due_is_left_alone_unless_forced(shop: Any, client: redis.Redis) -> None:
    path = shop.playbook(book(step(more="every: 30min")))
    assert shop.json("warm", path).statuses == ["warmed"]
    client.delete("item:7")
    answer = shop.json("warm", path)
    assert (answer.code, answer.statuses) == (0, ["not_due"])
    assert not client.exists("item:7")
    assert shop.json("warm", path, "--force").statuses == ["warmed"]
    assert client.exists("item:7")


def test_several_steps_are_warmed_at_the_same_time_and_one_that_fails_does_not_stop_the_others(
    shop: Any, client: redis.Redis
) -> None:
    steps = [
        f'  - id: s{number}\n    cache_warm: {{key: "s{number}:{{id}}", query: "{query}", ttl: 1h}}\n'
        for number, query in enumerate(("select id from items", "select 1 / (id - 1000) as id from items",
                                        "select id, owner from items"))
    ]  # fmt: skip
    answer = shop.json("warm", shop.playbook(book(*steps)), "--parallel", "3")
    assert answer.code == 4
    assert answer.statuses == ["warmed", "failed", "warmed"]
    assert "division by zero" in answer.errors
    assert "no rows" not in answer.notes
    assert client.exists("s0:2000", "s2:2000") == 2


MEETING = """
create function at_place(place int) returns bigint language sql as $$
select count(*) from pg_locks join pg_database on pg_database.oid = database
where datname = current_database() and locktype = 'advisory' and objid = place $$;
create function meet(wanted int) returns bigint language plpgsql as $$
declare found bigint; give_up_at timestamptz := clock_timestamp() + interval '30 s';
begin
  perform pg_advisory_xact_lock_shared(7);
  loop
    found := at_place(7);
    exit when found >= wanted or clock_timestamp() > give_up_at;
    perform pg_sleep(0.01);
  end loop;
  -- Nobody leaves before all are at the second place: then everybody has counted at the first. Who has left saw us.
  perform pg_advisory_xact_lock_shared(8);
  loop
    exit when at_place(8) >= wanted or at_place(7) < wanted or clock_timestamp() > give_up_at;
    perform pg_sleep(0.01);
  end loop;
  return found;
end $$"""


def test_as_many_steps_as_are_allowed_are_under_way_at_once_and_no_more(shop: Any, client: redis.Redis) -> None:
    """The first two wait for each other; whoever comes after them counts who is there."""
    shop.sql(MEETING)
    steps = [
        f'  - id: s{number}\n    cache_warm: {{key: "s{number}", query: "select meet({wanted})", ttl: 1h}}\n'
        for number, wanted in enumerate((2, 2, 1, 1, 1))
    ]
    answer = shop.json("warm", shop.playbook(book(*steps)), "--parallel", "2")
    assert answer.statuses == ["warmed"] * 5
    met = [json.loads(cast("bytes", client.get(f"s{number}")))["meet"] for number in range(5)]
    assert met[:2] == [2, 2]
    assert max(met) == 2


def test_a_playbook_without_a_warm_up_is_misused(shop: Any) -> None:
    answer = shop.run("warm", shop.playbook(book("  - analyze: {tables: [items]}\n")))
    assert answer.code == 2
    assert "nothing to warm" in answer.err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("type: set", "needs `value`"),
        ("type: zset, value: id", "`score` belongs to type zset"),
        ("type: hash, compress: gzip", "are for strings"),
        ("version: id", "add `mode: newer`"),
        ("mode: newest", "newer"),
        ("encoding: text", "needs `value`"),
    ],
)
def test_what_does_not_fit_together_is_refused_with_its_place(shop: Any, more: str, message: str) -> None:
    answer = shop.run("warm", shop.playbook(book(step(more=more))))
    assert answer.code == 2
    assert message in answer.err
    assert "tune.yml:5" in answer.err


def test_metrics_are_written_whole_and_the_last_success_outlives_a_failure(shop: Any, tmp_path: Path) -> None:
    path, metrics = shop.playbook(book(step())), tmp_path / "warm.prom"
    shop.run("warm", path, "--metrics-file", str(metrics))
    first = values(metrics)
    assert first['dbtune_warm_keys{playbook="shop",result="written",step="items"}'] == 2000
    assert first['dbtune_warm_success{playbook="shop"}'] == 1
    assert first['dbtune_warm_duration_seconds{playbook="shop",step="items"}'] > 0
    broken = shop.playbook(book(step("select id from nowhere")))
    assert shop.run("warm", broken, "--metrics-file", str(metrics)).code == 3
    second = values(metrics)
    when = 'dbtune_warm_last_success_timestamp_seconds{playbook="shop"}'
    assert second['dbtune_warm_success{playbook="shop"}'] == 0
    assert second[when] == first[when] > 1e9
    assert [file.name for file in tmp_path.iterdir() if "prom" in file.name] == ["warm.prom"]


def values(path: Path) -> dict[str, float]:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def test_metrics_are_pushed_to_a_gateway_and_one_that_is_away_changes_nothing(shop: Any) -> None:
    pushed: list[tuple[str, str, bytes]] = []

    class Gateway(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            pushed.append((self.command, self.path, body))
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    path = shop.playbook(book(step()))
    with http.server.HTTPServer(("127.0.0.1", 0), Gateway) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        place = f"http://127.0.0.1:{server.server_port}"
        assert shop.run("warm", path, "--pushgateway", place).code == 0
        server.shutdown()
    assert [(method, where) for method, where, _ in pushed] == [("POST", "/metrics/job/dbtune_warm/playbook/shop")]
    assert b"dbtune_warm_last_success_timestamp_seconds" in pushed[0][2]
    answer = shop.run("warm", path, "--pushgateway", place)
    assert answer.code == 0
    assert "did not take the metrics" in answer.err


def test_apply_and_warm_agree_on_what_is_due(shop: Any, client: redis.Redis) -> None:
    path = shop.playbook(book(step(more="every: 30min")))
    assert shop.apply(path).statuses == ["applied"]
    assert shop.json("warm", path).statuses == ["not_due"]
    assert shop.json("verify", path).statuses == ["ok"]
    assert shop.rollback().code == 0
    assert client.keys("item:*") == []
    assert shop.json("warm", path).statuses == ["warmed"]
    assert shop.apply(path).statuses == ["unchanged"]


@pytest.mark.parametrize(("option", "value"), [("--time-budget", "4"), ("--lock-wait", "soon")])
def test_an_option_that_is_no_duration_is_refused_before_a_server_is_asked(shop: Any, option: str, value: str) -> None:
    answer = shop.run("warm", shop.playbook(book(step())), option, value, "--redis", "redis://127.0.0.1:1")
    assert (answer.code, option in answer.err) == (2, True)
