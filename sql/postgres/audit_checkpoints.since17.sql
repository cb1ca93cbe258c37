-- As audit_checkpoints.sql; since 17 pg_stat_checkpointer counts them.
select
    checkpointer.num_timed as timed,
    checkpointer.num_requested as requested,
    extract(epoch from clock_timestamp() - coalesce(checkpointer.stats_reset, pg_postmaster_start_time()))::float8
        as age_s,
    pg_size_bytes(current_setting('max_wal_size')) as max_wal_bytes,
    extract(epoch from current_setting('checkpoint_timeout')::interval)::float8 as timeout_s
from pg_stat_checkpointer checkpointer
