-- Every user table that a check may have something to say about, with its counters and how vacuum treats it, in one
-- statement. Counters are visible to every role. Small, quiet tables with a key, of which there may be thousands, are
-- left out before anything else is asked about them.
-- Sizes come from pg_class.relpages: pg_relation_size would wait for everybody who holds a lock, and takes longer than
-- all the rest. It is asked only where no VACUUM or ANALYZE has ever looked (after an upgrade) and nobody locks the
-- table, of the thousand that were touched most. `options` are the table's own storage parameters; where they say
-- nothing, the server's settings count, which stand beside them.
with keyed as materialized (
    select indrelid, count(*) as count, bool_or(indisprimary) as has_primary_key from pg_index group by indrelid
), large_toast as materialized (
    select oid from pg_class where relkind = 't' and relpages >= 128
), unseen as materialized (
    select relation.oid
    from pg_class relation
    where relation.relpages = 0 and relation.relkind in ('r', 'm')
      and (relation.reltuples < 0 or current_setting('server_version_num')::int < 140000)
      and relation.oid not in (
          select relation from pg_locks where mode = 'AccessExclusiveLock' and relation is not null
      )
    order by pg_stat_get_blocks_fetched(relation.oid) desc nulls last, relation.oid
    limit 1000
), sized as materialized (
    select oid, pg_relation_size(oid) as size_bytes from unseen
), interesting as materialized (
    select
        relation.oid, relation.relname, space.nspname,
        coalesce(keyed.count, 0) as index_count,
        coalesce(keyed.has_primary_key, false) as has_primary_key,
        sized.size_bytes
    from pg_class relation
    join pg_namespace space on space.oid = relation.relnamespace
    left join keyed on keyed.indrelid = relation.oid
    left join sized on sized.oid = relation.oid
    where relation.relkind in ('r', 'm', 'p') and space.nspname not in ('pg_catalog', 'information_schema', 'dbtune')
      and space.nspname not like 'pg\_toast%%' and space.nspname not like 'pg\_temp%%'
      and (
          relation.relkind <> 'r' or relation.reloptions is not null or not coalesce(keyed.has_primary_key, false)
          or relation.relpages >= 128 or relation.reltuples >= 1000
          or pg_stat_get_live_tuples(relation.oid) >= 1000 or pg_stat_get_dead_tuples(relation.oid) >= 1000
          or pg_stat_get_tuples_inserted(relation.oid) >= 1000 or pg_stat_get_tuples_updated(relation.oid) >= 1000
          or pg_stat_get_tuples_deleted(relation.oid) >= 1000
          or relation.reltoastrelid in (select oid from large_toast)
          or sized.size_bytes >= 1048576
      )
)
select
    interesting.nspname::text as schema,
    interesting.relname::text as name,
    interesting.oid::bigint as oid,
    relation.relkind::text as kind,
    relation.relpersistence::text as persistence,
    relation.relispartition as is_partition,
    coalesce(relation.reloptions, '{}') as options,
    greatest(relation.reltuples, 0)::bigint as estimated_rows,
    pg_stat_get_live_tuples(relation.oid) as live_rows,
    pg_stat_get_dead_tuples(relation.oid) as dead_rows,
    relation.relpages::bigint * sizes.page_bytes + coalesce(interesting.size_bytes, 0) as heap_bytes,
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
    interesting.index_count::int as index_count,
    interesting.has_primary_key,
    case when not interesting.has_primary_key then (
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
    coalesce(indexes.size_bytes, 0)::bigint as indexes_bytes,
    current_setting('autovacuum_vacuum_threshold')::float8 as vacuum_threshold,
    current_setting('autovacuum_vacuum_scale_factor')::float8 as vacuum_scale_factor,
    current_setting('autovacuum_vacuum_max_threshold', true)::float8 as vacuum_max_threshold,
    current_setting('autovacuum_vacuum_insert_threshold')::float8 as insert_threshold,
    current_setting('autovacuum_vacuum_insert_scale_factor')::float8 as insert_scale_factor,
    current_setting('autovacuum_analyze_threshold')::float8 as analyze_threshold,
    current_setting('autovacuum_analyze_scale_factor')::float8 as analyze_scale_factor
from interesting
join pg_class relation on relation.oid = interesting.oid
cross join (select current_setting('block_size')::bigint as page_bytes) sizes
left join pg_class toast on toast.oid = relation.reltoastrelid
cross join lateral (
    select
        sum(pg_stat_get_numscans(index_class.oid)) as scans,
        sum(index_class.relpages::bigint) * sizes.page_bytes as size_bytes
    from pg_index index_row
    join pg_class index_class on index_class.oid = index_row.indexrelid
    where index_row.indrelid = relation.oid
) indexes
