-- Constraints that hold for new rows only. Those that PostgreSQL keeps for partitions follow their parent.
-- Names are looked up and printed on the role's own search path.
select
    constrained.conname::text as name,
    space.nspname::text as schema,
    relation.relname::text as table,
    constrained.contype::text as kind,
    pg_get_constraintdef(constrained.oid) as definition,
    greatest(relation.reltuples, 0)::bigint as rows
from pg_constraint constrained
join pg_class relation on relation.oid = constrained.conrelid
join pg_namespace space on space.oid = relation.relnamespace
where not constrained.convalidated and constrained.conparentid = 0
  and space.nspname not in ('pg_catalog', 'information_schema', 'dbtune')
order by space.nspname, relation.relname, constrained.conname
