-- Foreign keys between, and unique keys of, the tables of these names, in any schema: one statement for all.
-- Tables in the search path come first: texts of statements rarely say which schema they mean.
-- Names are looked up and printed on the role's own search path.
with wanted as (
    select named.oid, space.nspname::text as schema, named.relname::text as name,
        coalesce(array_position(current_schemas(false), space.nspname), 1000) as place
    from pg_class named
    join pg_namespace space on space.oid = named.relnamespace
    where named.relkind in ('r', 'p') and named.relname = any(%(names)s::name[])
      and space.nspname not in ('pg_catalog', 'information_schema', 'dbtune')
      and space.nspname not like 'pg\_toast%%' and space.nspname not like 'pg\_temp%%'
), keys as (
    select 'foreign' as kind, link.conrelid as relation, link.conkey as numbers, false as is_primary,
        link.confrelid as other_relation, link.confkey as other_numbers
    from pg_constraint link
    where link.contype = 'f' and link.conparentid = 0
      and link.conrelid in (select oid from wanted) and link.confrelid in (select oid from wanted)
    union all
    select 'unique', unique_index.indrelid, (unique_index.indkey::int2[])[0:unique_index.indnkeyatts - 1],
        unique_index.indisprimary, null, null
    from pg_index unique_index
    where unique_index.indisunique and unique_index.indisvalid
      and unique_index.indpred is null and unique_index.indexprs is null
      and unique_index.indrelid in (select oid from wanted)
)
select
    keys.kind,
    keyed.schema,
    keyed.name as table,
    array(select attname::text from unnest(keys.numbers) with ordinality key(number, position)
          join pg_attribute on attrelid = keys.relation and attnum = key.number order by position) as columns,
    keys.is_primary,
    referred.schema as other_schema,
    referred.name as other_table,
    array(select attname::text from unnest(keys.other_numbers) with ordinality key(number, position)
          join pg_attribute on attrelid = keys.other_relation and attnum = key.number order by position) as other_columns,
    (select statistic.null_frac::float8 from pg_attribute
     join pg_stats statistic on statistic.attname = pg_attribute.attname
     where keys.kind = 'foreign' and attrelid = keys.relation and attnum = keys.numbers[1]
       and statistic.schemaname = keyed.schema and statistic.tablename = keyed.name
     order by statistic.inherited desc limit 1) as null_fraction,
    keyed.place
from keys
join wanted keyed on keyed.oid = keys.relation
left join wanted referred on referred.oid = keys.other_relation
order by keyed.place, keyed.schema, keyed.name, keys.kind, keys.numbers
