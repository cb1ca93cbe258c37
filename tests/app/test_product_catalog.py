"""The playbook of a shop's catalogue: warmed on a real server, and invalidated by what happens in the shop."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import redis

from dbtune.app.apply import Order, apply_playbook
from dbtune.app.invalidate import Bounds, Wanted, invalidate, rules
from dbtune.app.targets import OpenTargets
from dbtune.app.workspace import opened
from dbtune.core.progress import silent
from dbtune.core.resources import resource
from dbtune.playbook.load import load
from dbtune.steps.invalidate_on import InvalidateOn

SHOP = """
create table categories (id int primary key, name text, parent_id int);
create table products (id int primary key, category_id int, name text, price numeric(10, 2), stock int, sold int,
  active bool default true, featured bool default false, created_at timestamptz default now());
create table orders (id int primary key, user_id int, status text, placed_at timestamptz);
create table order_items (order_id int, product_id int, quantity int);
create table promotions (product_id int, discount numeric(3, 2), starts_at timestamptz, ends_at timestamptz);
create table banners (id int, place text, text text, starts_at timestamptz, ends_at timestamptz);
create table search_terms (term text, searches int);
create table site_settings (name text, value text);
insert into categories values (1, 'shop', null), (2, 'books', 1), (3, 'maps', 2);
insert into products select i, 2 + i % 2, 'product ' || i, i * 1.5, i, i, i % 10 > 0, i % 7 = 0
  from generate_series(1, 60) i;
insert into products values (100, 3, '100% wool_*', 9.99, 1, 1000);
insert into orders select i, i % 5, 'paid', now() - i * interval '1 hour' from generate_series(1, 50) i;
insert into order_items select i, i, 1 from generate_series(1, 50) i;
insert into promotions values (42, 0.2, now() - interval '1 day', now() + interval '1 day'), (42, 0.9, now(), now());
insert into banners values (1, 'top', 'Sale', now() - interval '1 day', now() + interval '1 day');
insert into search_terms values ('product 1', 5), ('100% wool_*', 3), ('%', 1);
insert into site_settings values ('currency', 'EUR');
analyze;
"""

TTLS_S = {
    "catalog:product:42": 3600,
    "catalog:list:2:newest": 1800,
    "catalog:search:product 1": 600,
    "catalog:category:3": 14400,
    "catalog:orders:1": 1800,
    "catalog:featured": 600,
    "catalog:config": 14400,
    "catalog:banners:top": 3600,
}
EVERY_S = (1800, 900, 300, 7200, 900, 300, 7200, 1800)
PLAYBOOK = resource("playbooks") / "product-catalog.yml"


@pytest.fixture(scope="module")
def shop(postgres_dsn: str) -> Iterator[str]:
    from psycopg import conninfo

    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute("create database dbtune_test_shop template template0")
    dsn = conninfo.make_conninfo(postgres_dsn, dbname="dbtune_test_shop")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(SHOP.encode())
    yield dsn
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute("drop database dbtune_test_shop with (force)")


@pytest.fixture
def warmed(shop: str, cache_url: str) -> Iterator[redis.Redis]:
    with opened(OpenTargets(shop, cache_url)) as workspace:
        report = apply_playbook(workspace, Order(load(PLAYBOOK)), silent)
    assert {step.status for step in report.steps} <= {"applied", "unchanged"}, report.steps
    with redis.Redis.from_url(cache_url, decode_responses=True) as client:
        yield client


def value(client: redis.Redis, key: str) -> Any:
    found = client.get(key)
    assert found, key
    return json.loads(str(found))


def test_everything_is_warmed_for_as_long_as_the_shop_wants_it(warmed: redis.Redis) -> None:
    for key, ttl_s in TTLS_S.items():
        assert 0.75 * ttl_s < int(warmed.ttl(key)) <= 1.25 * ttl_s, key
    assert value(warmed, "catalog:product:42") == {
        "id": 42, "category_id": 2, "name": "product 42", "price": "63.00", "stock": 42, "discount": "0.20",
    }  # fmt: skip
    assert value(warmed, "catalog:category:3")["path"] == ["shop", "books", "maps"]
    assert [hit["id"] for hit in value(warmed, "catalog:search:100% wool_*")["products"]] == [100]
    assert [hit["id"] for hit in value(warmed, "catalog:search:%")["products"]] == [100]
    assert not warmed.exists("catalog:product:10"), "it is not active"
    assert len(value(warmed, "catalog:orders:1")["orders"]) == 10


def test_each_is_warmed_again_well_before_it_expires() -> None:
    steps = [step.step for step in load(PLAYBOOK).steps if step.kind == "cache_warm"]
    assert [step.every for step in steps] == list(EVERY_S)  # type: ignore[attr-defined]
    assert [step.ttl for step in steps] == list(TTLS_S.values())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("event", "gone", "kept"),
    [
        (
            "product.updated product_id=42",
            ["product:42", "list:2:newest", "search:product 1", "featured"],
            ["product:4", "category:2", "orders:1", "config", "banners:top"],
        ),
        ("product.stock_changed product_id=42", ["product:42"], ["product:4", "list:2:newest", "featured"]),
        ("category.updated category_id=2", ["category:2", "category:3", "list:2:newest"], ["list:3:newest"]),
        ("order.placed user_id=1", ["orders:1"], ["orders:2", "product:42"]),
        (
            "promotion.changed",
            ["product:42", "product:4", "list:2:newest", "search:product 1", "featured", "banners:top"],
            ["category:2", "orders:1", "config"],
        ),
        ("settings.changed", ["config"], ["featured"]),
    ],
)
def test_what_happens_in_the_shop_removes_what_shows_it_and_nothing_else(
    event: str, gone: list[str], kept: list[str], warmed: redis.Redis, cache_url: str
) -> None:
    for key in (*gone, *kept):
        assert warmed.exists(f"catalog:{key}"), key
    report = invalidate(cache_url, Wanted((event,)), load(PLAYBOOK), Bounds(), silent)
    assert report.exit_code == 0
    assert not [key for key in gone if warmed.exists(f"catalog:{key}")]
    assert not [key for key in kept if not warmed.exists(f"catalog:{key}")]


def test_every_trigger_says_an_event_that_the_playbook_knows_with_all_of_its_arguments() -> None:
    playbook = load(PLAYBOOK)
    known = rules(playbook)
    steps = [step.step for step in playbook.steps if isinstance(step.step, InvalidateOn)]
    assert len(steps) == 6
    for step in steps:
        assert set(known[step.event].arguments) <= set(step.arguments), step.event


def test_a_change_in_the_database_is_notified_with_the_events_arguments(warmed: redis.Redis, shop: str) -> None:
    with psycopg.connect(shop, autocommit=True) as connection:
        connection.execute("listen dbtune_invalidate")
        connection.execute("update products set price = price + 1, stock = stock - 1 where id = 42")
        connection.execute("insert into orders values (1000, 3, 'new', now())")
        heard = [json.loads(notify.payload) for notify in connection.notifies(timeout=30, stop_after=3)]
    assert sorted((one["event"], one["arguments"]) for one in heard) == [
        ("order.updated", {"user_id": "3"}),
        ("product.stock_changed", {"product_id": "42"}),
        ("product.updated", {"product_id": "42"}),
    ]
