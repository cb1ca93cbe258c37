-- Every user table that a check may have something to say about, with its counters and how vacuum treats it, in one
-- statement. Counters are visible to every role.
-- Sizes come from pg_class.relpages: pg_relation_size would wait for everybody who holds a lock. It is asked only where
-- no VACUUM or ANALYZE has ever looked (after an upgrade or a restore), and nobody locks the table. `options` are the
-- table's own storage parameters; where they say nothing, the server's settings count, which stand beside them.
select
    space.nspname::text as schema,
    relation.relname::text as name,
    relation.oid::bigint as oid,
    relation.relkind::text as kind,
    relation.relpersistence::text as persistence,
    relation.relispartition as is_partition,
    coalesce(relation.reloptions, '{}') as options,
    greatest(relation.reltuples, 0)::bigint as estimated_rows,
    pg_stat_get_live_tuples(relation.oid) as live_rows,
    pg_stat_get_dead_tuples(relation.oid) as dead_rows,
    relation.relpages::bigint * sizes.page_bytes + coalesce(pg_relation_size(unseen.oid), 0) as heap_bytes,
    (relation.relpages + coalesce(toast.relpages, 0))::bigint * sizes.page_bytes as size_bytes,
    pg_stat_get_numscans(relation.oid) as sequential_scans,
    pg_stat_get_tuples_returned(relation.oid) as sequential_rows,
    coalesce(indexes.scans, 0)::bigint as index_scans,
    pg_stat_get_tuples_inserted(relation.oid) as inserts,
    pg_stat_get_tuples_updated(relation.oid) as updates,
    pg_stat_get_tuples_deleted(relation.oid) as deletes,
    pg_stat_get_tuples_hot_updated(relation.oid) as hot_updates,
    pg_stat_get_mod_since_analyze(relation.oid) as modified,
    pg_stat_get_ins_since_vacuum(relation.oid) as inserted_since_vacuum,
    extract(epoch from clock_timestamp() - greatest(
        pg_stat_get_last_vacuum_time(relation.oid), pg_stat_get_last_autovacuum_time(relation.oid)
    ))::float8 as vacuumed_s_ago,
    extract(epoch from clock_timestamp() - greatest(
        pg_stat_get_last_analyze_time(relation.oid), pg_stat_get_last_autoanalyze_time(relation.oid)
    ))::float8 as analyzed_s_ago,
    pg_stat_get_blocks_fetched(relation.oid) - pg_stat_get_blocks_hit(relation.oid) as heap_read,
    pg_stat_get_blocks_hit(relation.oid) as heap_hit,
    coalesce(indexes.count, 0)::int as index_count,
    coalesce(indexes.has_primary_key, false) as has_primary_key,
    case when not coalesce(indexes.has_primary_key, false) then (
        select min(index_class.relname::text)
        from pg_index index_row
        join pg_class index_class on index_class.oid = index_row.indexrelid
        where index_row.indrelid = relation.oid and index_row.indisunique and index_row.indimmediate
          and index_row.indisvalid and index_row.indpred is null and index_row.indexprs is null
          and not index_class.relispartition
          and not exists (
              select from pg_attribute
              where attrelid = relation.oid and not attnotnull
                and attnum = any (string_to_array(index_row.indkey::text, ' ')::int[])
          )
    ) end as candidate_key,
    coalesce(indexes.blocks_read, 0)::bigint as index_read,
    coalesce(indexes.blocks_hit, 0)::bigint as index_hit,
    coalesce(indexes.size_bytes, 0)::bigint as indexes_bytes,
    relation.relreplident::text as replica_identity,
    current_setting('autovacuum_vacuum_threshold')::float8 as vacuum_threshold,
    current_setting('autovacuum_vacuum_scale_factor')::float8 as vacuum_scale_factor,
    current_setting('autovacuum_vacuum_max_threshold', true)::float8 as vacuum_max_threshold,
    current_setting('autovacuum_vacuum_insert_threshold')::float8 as insert_threshold,
    current_setting('autovacuum_vacuum_insert_scale_factor')::float8 as insert_scale_factor,
    current_setting('autovacuum_analyze_threshold')::float8 as analyze_threshold,
    current_setting('autovacuum_analyze_scale_factor')::float8 as analyze_scale_factor
from pg_class relation
join pg_namespace space on space.oid = relation.relnamespace
cross join (select current_setting('block_size')::bigint as page_bytes) sizes
left join pg_class unseen
  on unseen.oid = relation.oid and unseen.relpages = 0 and unseen.relkind in ('r', 'm')
 and (unseen.reltuples < 0 or current_setting('server_version_num')::int < 140000)
 and unseen.oid not in (select relation from pg_locks where mode = 'AccessExclusiveLock' and relation is not null)
left join pg_class toast on toast.oid = relation.reltoastrelid
left join (
    select
        index_row.indrelid,
        count(*) as count,
        bool_or(index_row.indisprimary) as has_primary_key,
        sum(pg_stat_get_numscans(index_class.oid)) as scans,
        sum(pg_stat_get_blocks_fetched(index_class.oid) - pg_stat_get_blocks_hit(index_class.oid)) as blocks_read,
        sum(pg_stat_get_blocks_hit(index_class.oid)) as blocks_hit,
        sum(index_class.relpages::bigint) * current_setting('block_size')::bigint as size_bytes
    from pg_index index_row
    join pg_class index_class on index_class.oid = index_row.indexrelid
    group by index_row.indrelid
) indexes on indexes.indrelid = relation.oid
where relation.relkind in ('r', 'm', 'p') and space.nspname not in ('pg_catalog', 'information_schema', 'dbtune')
  and space.nspname not like 'pg\_toast%%' and space.nspname not like 'pg\_temp%%'
  -- Small, quiet tables with a key, of which there may be thousands: no check has anything to say about them.
  and not (
      relation.relkind = 'r' and unseen.oid is null and relation.reloptions is null and indexes.has_primary_key
      and relation.relpages < 128 and relation.reltuples < 1000 and pg_stat_get_live_tuples(relation.oid) < 1000
      and pg_stat_get_dead_tuples(relation.oid) < 1000 and pg_stat_get_tuples_updated(relation.oid) < 10000
      and pg_stat_get_tuples_inserted(relation.oid) < 1000 and pg_stat_get_blocks_fetched(relation.oid) < 100
      and indexes.blocks_read + indexes.blocks_hit < 100 and coalesce(toast.relpages, 0) < 128
  )
