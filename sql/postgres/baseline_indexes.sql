-- The counters of every index of a user table.
select
    stat.indexrelid::bigint as indexrelid, stat.schemaname::text as schema, stat.relname::text as "table",
    stat.indexrelname::text as name, stat.idx_scan, stat.idx_tup_read, stat.idx_tup_fetch,
    coalesce(io.idx_blks_read, 0) as idx_blks_read, coalesce(io.idx_blks_hit, 0) as idx_blks_hit
from pg_stat_user_indexes stat
join pg_statio_user_indexes io using (indexrelid)
where stat.schemaname <> 'dbtune'
