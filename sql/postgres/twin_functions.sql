-- The database's own functions in languages that can do no harm; statements, views and indexes may call them.
select
    pg_namespace.nspname::text as schema,
    pg_proc.proname::text as name,
    pg_get_functiondef(pg_proc.oid) as definition
from pg_proc
join pg_namespace on pg_namespace.oid = pg_proc.pronamespace
join pg_language on pg_language.oid = pg_proc.prolang
where pg_proc.prokind = 'f' and pg_language.lanname in ('sql', 'plpgsql')
  and pg_proc.prorettype <> 'trigger'::regtype
  and pg_namespace.nspname not in ('pg_catalog', 'information_schema', 'dbtune')
  and not exists (select from pg_depend where classid = 'pg_proc'::regclass and objid = pg_proc.oid and deptype = 'e')
order by pg_proc.oid
