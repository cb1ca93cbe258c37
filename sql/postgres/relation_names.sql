-- Every table that a person can mean, to find the nearest names of one that does not exist.
select space.nspname::text as schema, relation.relname::text as name
from pg_class relation
join pg_namespace space on space.oid = relation.relnamespace
where relation.relkind in ('r', 'p', 'm')
  and space.nspname not in ('pg_catalog', 'information_schema', 'dbtune')
  and space.nspname not like 'pg\_toast%%' and space.nspname not like 'pg\_temp%%'
order by 1, 2
