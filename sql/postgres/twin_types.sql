-- The database's own types: enums, domains, composites and ranges that no extension brought.
select
    pg_namespace.nspname::text as schema,
    pg_type.typname::text as name,
    pg_type.typtype::text as kind,
    case pg_type.typtype
        when 'd' then format_type(pg_type.typbasetype, pg_type.typtypmod)
        when 'r' then (select format_type(rngsubtype, null) from pg_range where rngtypid = pg_type.oid) end as base,
    case when pg_type.typtype = 'd' and pg_type.typcollation <> 0
          and pg_type.typcollation <> (select typcollation from pg_type base where base.oid = pg_type.typbasetype)
         then (select format('%%I.%%I', nspname, collname)
                 from pg_collation join pg_namespace space on space.oid = collnamespace
                where pg_collation.oid = pg_type.typcollation) end as collation,
    array(select enumlabel::text from pg_enum where enumtypid = pg_type.oid order by enumsortorder) as labels,
    (select coalesce(jsonb_agg(jsonb_build_array(attname, format_type(atttypid, atttypmod)) order by attnum), '[]')
       from pg_attribute where attrelid = pg_type.typrelid and attnum > 0 and not attisdropped) as fields
from pg_type
join pg_namespace on pg_namespace.oid = pg_type.typnamespace
left join pg_class on pg_class.oid = pg_type.typrelid
where (pg_type.typtype in ('e', 'd', 'r') or pg_class.relkind = 'c')
  and pg_namespace.nspname not in ('pg_catalog', 'information_schema', 'dbtune')
  and not exists (select from pg_depend where classid = 'pg_type'::regclass and objid = pg_type.oid and deptype = 'e')
order by pg_type.oid
