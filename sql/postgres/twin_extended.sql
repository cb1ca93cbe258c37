-- CREATE STATISTICS on the relations in %(oids)s, and what they found. Before 15 children are not counted apart.
select
    space.nspname::text as schema,
    extended.stxname::text as name,
    table_space.nspname::text as table_schema,
    relation.relname::text as "table",
    pg_get_statisticsobjdef(extended.oid) as definition,
    array(select kind::text from unnest(extended.stxkind) as kind) as kinds,
    array(select attname::text from unnest(extended.stxkeys) with ordinality as key(number, place)
            join pg_attribute on attrelid = relation.oid and attnum = key.number order by place) as columns,
    found.n_distinct::text as distinct_counts,
    found.dependencies::text as dependencies,
    false as inherited
from pg_statistic_ext extended
join pg_class relation on relation.oid = extended.stxrelid
join pg_namespace table_space on table_space.oid = relation.relnamespace
join pg_namespace space on space.oid = extended.stxnamespace
left join pg_stats_ext found
  on found.statistics_schemaname = space.nspname and found.statistics_name = extended.stxname
where extended.stxrelid = any (%(oids)s::bigint[]::oid[])
order by 1, 2, 10
