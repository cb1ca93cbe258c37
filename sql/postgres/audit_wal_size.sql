-- max_wal_size beside the size of the database, which is that of relpages: see audit_memory.sql.
select
    pg_size_bytes(current_setting('max_wal_size')) as max_wal_bytes,
    coalesce(
        (select sum(greatest(relpages, 0)::bigint) from pg_class where relkind in ('r', 'm', 'i', 't'))
            * current_setting('block_size')::bigint,
        0
    )::bigint as database_bytes
