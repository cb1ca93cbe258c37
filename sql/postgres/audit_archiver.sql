-- Whether WAL reaches its archive.
select
    archiver.failed_count as failures,
    archiver.last_failed_wal::text as last_failed_wal,
    extract(epoch from clock_timestamp() - archiver.last_failed_time)::float8 as last_failure_s,
    extract(epoch from clock_timestamp() - archiver.last_archived_time)::float8 as last_success_s
from pg_stat_archiver archiver
where current_setting('archive_mode') <> 'off'
