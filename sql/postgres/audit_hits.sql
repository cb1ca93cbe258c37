-- How many pages of user tables, and of their indexes, were found in the cache and how many were read, in all; beside
-- each total the five tables of which most was read, unless hardly any page (less than one in a hundred)
-- had to be.
with counted as materialized (
    select
        relation.oid, relation.relkind = 'i' as is_index,
        pg_stat_get_blocks_fetched(relation.oid) as accesses,
        pg_stat_get_blocks_hit(relation.oid) as hits
    from pg_class relation
    where relation.relkind in ('r', 'm', 'i') and relation.relnamespace not in (
        select oid from pg_namespace
        where nspname in ('pg_catalog', 'information_schema', 'dbtune')
           or nspname like 'pg\_toast%%' or nspname like 'pg\_temp%%'
    )
), totals as materialized (
    select is_index, sum(hits)::bigint as hits, sum(accesses - hits)::bigint as reads from counted group by is_index
), read_from as (
    select counted.is_index, coalesce(index_row.indrelid, counted.oid) as table_oid,
        sum(counted.accesses - counted.hits) as reads
    from counted
    join totals on totals.is_index = counted.is_index and totals.reads * 100 >= totals.hits + totals.reads
    left join pg_index index_row on counted.is_index and index_row.indexrelid = counted.oid
    where counted.accesses > counted.hits
    group by 1, 2
), worst as (
    select *, row_number() over (partition by is_index order by reads desc, table_oid) as place from read_from
)
select
    totals.is_index,
    totals.hits,
    totals.reads,
    space.nspname::text as schema,
    relation.relname::text as table,
    worst.reads::bigint as table_reads,
    (select sum(pg_stat_get_blocks_hit(parts.oid)) from (
        select relation.oid where not totals.is_index
        union all
        select indexrelid from pg_index where totals.is_index and indrelid = relation.oid
    ) parts)::bigint as table_hits
from totals
left join worst on worst.is_index = totals.is_index and worst.place <= 5
left join pg_class relation on relation.oid = worst.table_oid
left join pg_namespace space on space.oid = relation.relnamespace
order by totals.is_index, worst.place
