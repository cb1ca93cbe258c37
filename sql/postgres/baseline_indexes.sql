-- The counters of every index of a user table, and the size that the catalog knows.
select
    stat.indexrelid::bigint as indexrelid, stat.schemaname::text as schema, stat.relname::text as "table",
    stat.indexrelname::text as name, stat.idx_scan, stat.idx_tup_read, stat.idx_tup_fetch,
    coalesce(io.idx_blks_read, 0) as idx_blks_read, coalesce(io.idx_blks_hit, 0) as idx_blks_hit,
    greatest(class.relpages, 0)::bigint * current_setting('block_size')::bigint as size_bytes,
    pg_index.indisvalid as valid
from pg_stat_user_indexes stat
join pg_statio_user_indexes io using (indexrelid)
join pg_class class on class.oid = stat.indexrelid
join pg_index on pg_index.indexrelid = stat.indexrelid
where stat.schemaname <> 'dbtune'
