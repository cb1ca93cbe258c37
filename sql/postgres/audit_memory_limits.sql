-- What bounds the memory that statements may take: work_mem as this role has it here, the cache that the planner
-- reckons with (the nearest thing to the machine's memory that SQL can see), and the number of sessions.
select
    pg_size_bytes(current_setting('work_mem')) as work_mem_bytes,
    pg_size_bytes(current_setting('effective_cache_size')) as cache_bytes,
    current_setting('max_connections')::int as max_connections,
    current_setting('block_size')::int as block_bytes
