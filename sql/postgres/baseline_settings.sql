-- The settings that decide what is counted (first) and those that change how fast things are.
-- reset_val: what other sessions of this role get. Our own session has set a few of them for itself.
select
    name::text as name,
    case when unit like '_kB' or unit like '__kB'
         then (reset_val::bigint * replace(unit, 'kB', '')::bigint)::text || 'kB'
         else reset_val || coalesce(unit, '') end as value
from pg_settings
where name in (
    'pg_stat_statements.track', 'pg_stat_statements.track_utility', 'pg_stat_statements.track_planning',
    'pg_stat_statements.max', 'compute_query_id', 'track_io_timing', 'track_counts', 'track_activities',
    'shared_buffers', 'work_mem', 'hash_mem_multiplier', 'maintenance_work_mem', 'effective_cache_size',
    'random_page_cost', 'seq_page_cost', 'effective_io_concurrency', 'io_method', 'jit', 'plan_cache_mode',
    'max_parallel_workers_per_gather', 'default_statistics_target', 'synchronous_commit', 'fsync',
    'full_page_writes', 'wal_compression', 'max_wal_size', 'checkpoint_timeout', 'autovacuum',
    'log_min_duration_statement', 'max_connections'
)
-- And whatever else somebody has set, but for texts: those can hold passwords and paths.
or (source not in ('default', 'override', 'client', 'session') and vartype <> 'string' and category not like 'Preset%%')
