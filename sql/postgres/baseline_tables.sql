-- The counters of every user table, and the size that the catalog knows: asking the files would wait for locks.
select
    stat.relid::bigint as relid, stat.schemaname::text as schema, stat.relname::text as name,
    stat.seq_scan, stat.seq_tup_read, coalesce(stat.idx_scan, 0) as idx_scan,
    coalesce(stat.idx_tup_fetch, 0) as idx_tup_fetch, stat.n_tup_ins, stat.n_tup_upd, stat.n_tup_del,
    stat.n_tup_hot_upd, stat.n_live_tup, stat.n_dead_tup,
    greatest(class.relpages, 0)::bigint * current_setting('block_size')::bigint as size_bytes,
    coalesce(io.heap_blks_read, 0) as heap_blks_read, coalesce(io.heap_blks_hit, 0) as heap_blks_hit,
    coalesce(io.idx_blks_read, 0) as idx_blks_read, coalesce(io.idx_blks_hit, 0) as idx_blks_hit
from pg_stat_user_tables stat
join pg_statio_user_tables io using (relid)
join pg_class class on class.oid = stat.relid
where stat.schemaname <> 'dbtune'
