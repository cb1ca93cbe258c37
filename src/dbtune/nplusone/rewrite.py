"""The rewrite of an N+1, in SQL and in the words of the libraries that usually write it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dbtune.core.identifiers import quote
from dbtune.nplusone.detection import Detection
from dbtune.nplusone.edges import Edge


@dataclass(frozen=True, slots=True)
class Rewrite:
    """`sql`: patterns to adapt, with real names. `words`: by library."""

    sql: tuple[str, ...]
    words: Mapping[str, str]


def rewrite(found: Detection) -> Rewrite:
    """What to write instead of the loop."""
    if found.kind == "tree" and found.edge is not None:
        return _tree(found.edge)
    if found.kind == "write":
        return _write(found)
    if found.edge is None:
        raise AssertionError("a look-up always hangs on an edge")
    return _to_one(found.edge) if found.edge.kind in ("forward", "same", "guess") else _to_many(found.edge)


def _to_one(edge: Edge) -> Rewrite:
    """The parent's rows hold the key: a join brings at most one row each."""
    return Rewrite(
        (
            _joined(edge),
            _batch(edge),
        ),
        {
            "django": f"select_related() over {_columns(edge.parent_columns)}",
            "sqlalchemy": "options(joinedload(...)), or selectinload(...) for a second query with IN",
            "typeorm": "leftJoinAndSelect(), or relations: {...: true}",
            "prisma": "include: {...: true} on the query of the list",
            "rails": "includes(...) or eager_load(...)",
        },
    )


def _to_many(edge: Edge) -> Rewrite:
    """Many rows for each of the parent's: one more statement for all of them."""
    return Rewrite(
        (
            _batch(edge),
            _joined(edge),
        ),
        {
            "django": "prefetch_related(...); for counts annotate(Count(...)); for the newest of each a Subquery",
            "sqlalchemy": "options(selectinload(...)); for counts a grouped subquery",
            "typeorm": "relations: {...: true} with relationLoadStrategy: 'query', or leftJoinAndSelect()",
            "prisma": "include: {...: true}, or _count in select",
            "rails": "includes(...) or preload(...); counter_cache for counts",
        },
    )


def _tree(edge: Edge) -> Rewrite:
    table, key = quote(*edge.child_table), quote(*(edge.child_columns[:1]))
    upwards = edge.kind == "forward"
    link = quote(*(edge.own_link or edge.parent_columns)[:1])
    start = f"select t.* from {table} t where t.{key} = $1"
    step = f"w.{link} = t.{key}" if upwards else f"t.{key} = w.{quote(*(edge.parent_columns[:1]))}"
    more = f"select t.* from {table} t join walk w on {step}"
    return Rewrite(
        (f"with recursive walk as ({start} union all {more}) select * from walk;",),
        {
            "django": "raw() with a recursive CTE, or django-tree-queries / django-cte",
            "sqlalchemy": "select(...).cte(recursive=True)",
            "typeorm": "a tree repository: findAncestors() / findDescendants(), or query() with a recursive CTE",
            "prisma": "$queryRaw or TypedSQL with a recursive CTE",
            "rails": "with_recursive(...) (7.2), or the ancestry / closure_tree gems",
        },
    )


def _write(found: Detection) -> Rewrite:
    is_insert = found.child.text.lstrip()[:6].upper() == "INSERT"
    table = quote(*found.edge.child_table) if found.edge else "the_table"
    if is_insert:
        inserts = (
            f"insert into {table} (...) select * from unnest($1::..., $2::...);",
            f"copy {table} (...) from stdin;",
        )
        return Rewrite(
            inserts,
            {
                "django": "bulk_create(rows, batch_size=1000)",
                "sqlalchemy": "session.execute(insert(Model), rows): insertmanyvalues",
                "typeorm": "insert([...]) or save([...], {chunk: 1000})",
                "prisma": "createMany({data: [...]})",
                "rails": "insert_all(rows)",
            },
        )
    sql = (
        f"update {table} t set ... from (select * from unnest($1::..., $2::...)) v (key, value) where t.key = v.key;",
    )
    return Rewrite(
        sql,
        {
            "django": "bulk_update(rows, [...], batch_size=1000), or update(...) with an F() expression",
            "sqlalchemy": "update(Model).where(...).values(...), or session.execute(update(Model), rows)",
            "typeorm": "createQueryBuilder().update() with IN, or upsert([...])",
            "prisma": "updateMany(), or $executeRaw with UPDATE ... FROM unnest",
            "rails": "update_all(...) or upsert_all(rows)",
        },
    )


def _batch(edge: Edge) -> str:
    if len(edge.child_columns) == 1:
        return f"select * from {quote(*edge.child_table)} where {quote(edge.child_columns[0])} = any($1);"
    listed = ", ".join(quote(column) for column in edge.child_columns)
    arrays = ", ".join(f"${place}" for place in range(1, len(edge.child_columns) + 1))
    return f"select * from {quote(*edge.child_table)} where ({listed}) in (select * from unnest({arrays}));"


def _joined(edge: Edge) -> str:
    tables = f"{quote(*edge.parent_table)} p left join {quote(*edge.child_table)} c"
    return f"select p.*, c.* from {tables} on {_join(edge)};"


def _join(edge: Edge) -> str:
    pairs = zip(edge.child_columns, edge.parent_columns, strict=False)
    return " and ".join(f"c.{quote(own)} = p.{quote(other)}" for own, other in pairs)


def _columns(columns: tuple[str, ...]) -> str:
    return ", ".join(columns)
