-- Tables by the names in %(names)s, quoted as PostgreSQL reads them. Names that stand for nothing have no row.
-- Names are looked up and printed on the role's own search path.
select
    wanted.name as given,
    relation.oid::bigint as oid,
    space.nspname::text as schema,
    relation.relname::text as name,
    relation.relkind::text as kind,
    relation.relpersistence::text as persistence,
    pg_has_role(relation.relowner, 'USAGE') as owned,
    has_schema_privilege(space.oid, 'CREATE') as may_create,
    case when relation.relkind in ('r', 'm', 't') then pg_table_size(relation.oid) else 0 end as size_bytes,
    greatest(relation.reltuples, 0)::float8 as row_count,
    (select array_agg(attname::text order by attnum) from pg_attribute
      where attrelid = relation.oid and attnum > 0 and not attisdropped) as columns,
    (select array_agg(coalesce(stats.avg_width, case when attlen > 0 then attlen else 32 end)::int order by attnum)
       from pg_attribute
       left join pg_stats stats
         on stats.schemaname = space.nspname and stats.tablename = relation.relname
        and stats.attname = pg_attribute.attname and not stats.inherited
      where attrelid = relation.oid and attnum > 0 and not attisdropped) as widths
from unnest(%(names)s::text[]) as wanted(name)
join pg_class relation on relation.oid = to_regclass(wanted.name)
join pg_namespace space on space.oid = relation.relnamespace
