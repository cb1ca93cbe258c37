-- Checkpoints and what bounds them. Until 16 pg_stat_bgwriter counts them.
select
    bgwriter.checkpoints_timed as timed,
    bgwriter.checkpoints_req as requested,
    extract(epoch from clock_timestamp() - coalesce(bgwriter.stats_reset, pg_postmaster_start_time()))::float8 as age_s,
    pg_size_bytes(current_setting('max_wal_size')) as max_wal_bytes,
    extract(epoch from current_setting('checkpoint_timeout')::interval)::float8 as timeout_s
from pg_stat_bgwriter bgwriter
