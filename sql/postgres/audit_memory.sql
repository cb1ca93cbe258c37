-- The memory parameters beside what they serve. The size is that of relpages, kept by VACUUM and ANALYZE: asking for
-- the size of each file takes minutes where there are many.
select
    pg_size_bytes(current_setting('shared_buffers')) as shared_buffers_bytes,
    pg_size_bytes(current_setting('effective_cache_size')) as cache_bytes,
    coalesce(
        (select sum(greatest(relpages, 0)::bigint) from pg_class where relkind in ('r', 'm', 'i', 't'))
            * current_setting('block_size')::bigint,
        0
    )::bigint as database_bytes,
    pg_size_bytes(current_setting('max_wal_size')) as max_wal_bytes
