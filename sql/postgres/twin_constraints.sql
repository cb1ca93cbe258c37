-- Foreign keys and checks of the relations in %(oids)s; the planner knows something from both.
select
    space.nspname::text as schema,
    relation.relname::text as "table",
    pg_constraint.conname::text as name,
    pg_constraint.contype::text as kind,
    pg_get_constraintdef(pg_constraint.oid) as definition,
    array(select attname::text from unnest(pg_constraint.conkey) with ordinality as key(number, place)
            join pg_attribute on attrelid = pg_constraint.conrelid and attnum = key.number order by place) as columns,
    case when pg_constraint.contype = 'f' then jsonb_build_array(other_space.nspname, other.relname) end as referenced,
    array(select attname::text from unnest(pg_constraint.confkey) with ordinality as key(number, place)
            join pg_attribute on attrelid = pg_constraint.confrelid and attnum = key.number order by place)
        as referenced_columns,
    pg_constraint.convalidated as is_valid
from pg_constraint
join pg_class relation on relation.oid = pg_constraint.conrelid
join pg_namespace space on space.oid = relation.relnamespace
left join pg_class other on other.oid = pg_constraint.confrelid
left join pg_namespace other_space on other_space.oid = other.relnamespace
where pg_constraint.conrelid = any (%(oids)s::bigint[]::oid[]) and pg_constraint.contype in ('f', 'c')
  -- Those that a partition got from its parent are the parent's; a foreign key to a partitioned table has a shadow.
  and pg_constraint.conparentid = 0
  and (pg_constraint.contype = 'f' or pg_constraint.conislocal)
order by 1, 2, 3
