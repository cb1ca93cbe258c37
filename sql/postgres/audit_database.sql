-- This database's counters, 13: sessions are not counted yet.
select
    xact_commit as commits, xact_rollback as rollbacks, blks_hit, blks_read, temp_files, temp_bytes, deadlocks,
    current_setting('data_checksums') = 'on' as has_checksums,
    coalesce(checksum_failures, 0)::bigint as checksum_failures,
    checksum_last_failure::text as last_checksum_failure,
    null::bigint as sessions,
    null::float8 as session_s,
    extract(epoch from clock_timestamp() - coalesce(stats_reset, pg_postmaster_start_time()))::float8 as age_s
from pg_stat_database
where datname = current_database()
