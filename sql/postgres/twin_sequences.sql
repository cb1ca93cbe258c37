-- The database's own sequences: a statement may name one in nextval().
select pg_namespace.nspname::text as schema, pg_class.relname::text as name
from pg_class
join pg_namespace on pg_namespace.oid = pg_class.relnamespace
where pg_class.relkind = 'S' and pg_class.relpersistence <> 't'
  and pg_namespace.nspname not in ('pg_catalog', 'information_schema', 'dbtune')
  and not exists (select from pg_depend where classid = 'pg_class'::regclass and objid = pg_class.oid and deptype = 'e')
order by 1, 2
