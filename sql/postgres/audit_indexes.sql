-- Every user index with its parts and counters, in one statement. Sizes come from pg_class.relpages, as of the last
-- VACUUM or ANALYZE: pg_relation_size would wait for everybody who holds a lock, so it is asked only where neither has
-- looked yet and nobody locks the table. For the same reason expressions and
-- predicates are stored trees without positions, not pg_get_expr, which takes a lock on newer versions. `building` may
-- see the progress of others only with pg_read_all_stats; without it the locks, which everybody sees, must do.
-- Before 15 no index could treat nulls as equal.
with behind as (
    select conindid,
        (min(conname::text) filter (where contype in ('p', 'u', 'x'))) as name,
        bool_or(contype = 'f') as referenced
    from pg_constraint
    where conindid <> 0
    group by conindid
),
building as (
    select relid from pg_stat_progress_create_index
    where datid = (select oid from pg_database where datname = current_database()) and relid is not null
    union
    select relation from pg_locks
    where mode = 'ShareUpdateExclusiveLock' and granted and not pg_has_role('pg_read_all_stats', 'USAGE')
      and database = (select oid from pg_database where datname = current_database())
)
select
    index_class.oid::bigint as oid,
    indexed.oid::bigint as table_oid,
    case when index_class.relispartition then pg_partition_root(index_class.oid)::oid::bigint end as root_oid,
    space.nspname::text as schema,
    index_class.relname::text as name,
    indexed.relname::text as table,
    index_class.relkind = 'I' as is_partitioned,
    method.amname::text as method,
    index_row.indnkeyatts::int as key_count,
    index_row.indkey::text as columns,
    index_row.indoption::text as options,
    index_row.indclass::text as opclasses,
    index_row.indcollation::text as collations,
    regexp_replace(index_row.indexprs::text, ' :location -?\d+', '', 'g') as expressions,
    regexp_replace(index_row.indpred::text, ' :location -?\d+', '', 'g') as predicate,
    pg_get_indexdef(index_class.oid) as definition,
    index_row.indisunique as is_unique,
    false as nulls_not_distinct,
    index_row.indisreplident as is_replica_identity,
    behind.name as constraint_name,
    coalesce(behind.referenced, false) as is_referenced,
    index_row.indisvalid and index_row.indisready and index_row.indislive as usable,
    building.relid is not null as being_built,
    index_class.relpages::bigint * current_setting('block_size')::bigint + coalesce(pg_relation_size(unseen.oid), 0)
        as size_bytes,
    coalesce(pg_stat_get_numscans(index_class.oid), 0)::bigint as scans
from pg_index index_row
join pg_class index_class on index_class.oid = index_row.indexrelid
join pg_class indexed on indexed.oid = index_row.indrelid
join pg_namespace space on space.oid = index_class.relnamespace
join pg_am method on method.oid = index_class.relam
left join pg_class unseen
  on unseen.oid = index_class.oid and unseen.relpages = 0 and unseen.relkind = 'i'
 and unseen.oid not in (select relation from pg_locks where mode = 'AccessExclusiveLock' and relation is not null)
 and indexed.oid not in (select relation from pg_locks where mode = 'AccessExclusiveLock' and relation is not null)
left join behind on behind.conindid = index_class.oid
left join building on building.relid = indexed.oid
where indexed.relkind in ('r', 'm', 'p') and space.nspname not in ('pg_catalog', 'information_schema', 'dbtune')
  and space.nspname not like 'pg\_toast%%' and space.nspname not like 'pg\_temp%%'
order by space.nspname, index_class.relname
