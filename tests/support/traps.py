"""What somebody plants who may create in a schema on a path: everything of PostgreSQL's own that dbtune names, anew.

Whoever looks a name up on that path finds the trap, which raises an error; the server writes it to its log, whatever
the client makes of it.
"""

from __future__ import annotations

import re
from pathlib import Path

import psycopg

SPRUNG = "a trap was sprung"
_SOURCE = Path(__file__).resolve().parents[2]
_OPERATORS = ["=", "<>", "<", ">", "<=", ">=", "||", "~", "!~", "~~", "!~~", "+", "-", "*", "/", "->", "->>", "#>>"]
_TYPES = ["text", "name", "oid", "int2", "int4", "int8", "float8", "bytea", "regclass", "jsonb", "json", "timestamptz"]
_TRAP = f"""create function public.sprung(what text) returns boolean language plpgsql as
$$ begin raise exception '{SPRUNG}: %', what; end $$"""
_BODY = "language plpgsql as $$ begin perform public.sprung(%L); return{} ; end $$"
# A function for each that there is; where it takes anything, which only C can, for each of a few types.
_FUNCTIONS = f"""
select format('create function public.%I(%s) returns %s {_BODY.format("%s")}', proname,
              replace(replace(pg_get_function_arguments(pg_proc.oid), 'VARIADIC "any"', 'VARIADIC ' || kind || '[]'),
                      '"any"', kind),
              pg_get_function_result(pg_proc.oid), proname || '()',
              case when proretset or prorettype = 'void'::regtype or proargmodes && array['o', 't']::"char"[]
                   then '' else ' null' end)
  from pg_proc cross join unnest(%(types)s::text[]) kind
 where pronamespace = 'pg_catalog'::regnamespace and prokind = 'f' and proname = any (%(words)s::name[])
   and ('"any"'::regtype = any (proargtypes::oid[]) or kind = 'text')
"""
_AGGREGATES = f"""
select format('create function public.%I(%s) returns %s {_BODY.format(" null")};'
              ' create aggregate public.%I(%s) (sfunc = public.%1$I, stype = %3$s)',
              'of_' || proname, concat_ws(', ', state, nullif(arguments, '*')), state, proname || '()',
              proname, arguments)
  from pg_proc cross join unnest(%(types)s::text[]) kind
  cross join lateral (select coalesce(nullif(replace(pg_get_function_arguments(pg_proc.oid), '"any"', kind), ''), '*')
                      as arguments) as shown
  cross join lateral (select case when prorettype = any (%(types)s::regtype[]::oid[]) then prorettype::regtype::text
                                  else 'text' end as state) as states
 where pronamespace = 'pg_catalog'::regnamespace and prokind = 'a' and proname = any (%(words)s::name[])
   and ('"any"'::regtype = any (proargtypes::oid[]) or kind = 'text')
"""
_OPERATORS_TOO = f"""
select format('create function public.operator_%s(%s) returns %s {_BODY.format(" null")};'
              ' create operator public.%s (%s function = public.operator_%1$s)',
              oid, concat_ws(', ', nullif(oprleft, 0)::regtype, oprright::regtype), oprresult::regtype,
              'operator ' || oprname, oprname,
              concat(case when oprleft <> 0 then format('leftarg = %s, ', oprleft::regtype) end,
                     format('rightarg = %s,', oprright::regtype)))
  from pg_operator
 where oprnamespace = 'pg_catalog'::regnamespace and oprname = any (%(operators)s::name[]) and oprcode <> 0
"""
_RELATIONS = """
select format('create view public.%I as select %s from (select public.sprung(%L) as it offset 0) trap'
              ' left join pg_catalog.%1$I it on trap.it', relname,
              (select string_agg(format('it.%I', attname), ', ' order by attnum) from pg_attribute
                where attrelid = pg_class.oid and attnum > 0 and atttypid <> 'anyarray'::regtype), relname)
  from pg_class
 where relnamespace = 'pg_catalog'::regnamespace and relkind in ('r', 'v') and relname = any (%(words)s::name[])
"""
_DOMAINS = """
select format('create domain public.%I as pg_catalog.%1$I check (public.sprung(%1$L))', kind)
  from unnest(%(types)s::text[]) kind where kind <> 'regclass'
"""
# What cannot be made (a type that no function may have) is left out.
_MAKE = """do $$ declare made text; begin
  for made in select command from pg_temp.traps order by place loop
    begin execute made; exception when others then null; end;
  end loop;
end $$"""


def plant(superuser: psycopg.Connection[tuple[object, ...]], role: str) -> set[str]:
    """Made by `role`, who has no right but to create in `public`. The names of what was planted."""
    words = set[str]()
    for path in [*(_SOURCE / "sql").rglob("*.sql"), *(_SOURCE / "src" / "dbtune").rglob("*.py")]:
        if path.suffix == ".sql" or path.relative_to(_SOURCE).parts[2] in ("app", "servers", "steps"):
            words.update(re.findall(r"\w+", path.read_text(encoding="utf-8")))
    values = {"words": sorted(words), "types": _TYPES, "operators": _OPERATORS}
    superuser.execute(f'set session authorization "{role}"'.encode())
    superuser.execute("set search_path = pg_catalog, pg_temp")
    superuser.execute(_TRAP.encode())
    superuser.execute("create temp table traps (place bigint generated always as identity, command text)")
    for query in (_FUNCTIONS, _AGGREGATES, _OPERATORS_TOO, _RELATIONS, _DOMAINS):
        text = re.sub(r"%(?!\()", "%%", query)
        superuser.execute(f"insert into pg_temp.traps (command) {text}".encode(), values)
    superuser.execute(_MAKE)
    superuser.execute("reset session authorization")
    found = superuser.execute(
        "select proname::text from pg_proc where pronamespace = 'public'::regnamespace"
        " union select oprname::text from pg_operator where oprnamespace = 'public'::regnamespace"
        " union select relname::text from pg_class where relnamespace = 'public'::regnamespace"
        " union select typname::text from pg_type where typnamespace = 'public'::regnamespace and typtype = 'd'"
    ).fetchall()
    return {str(name) for (name,) in found}


def sprung(log: Path, start: int) -> list[str]:
    """What the server's log says since it was `start` bytes long."""
    with log.open("rb") as lines:
        lines.seek(start)
        return [line for line in lines.read().decode(errors="replace").splitlines() if SPRUNG in line]
