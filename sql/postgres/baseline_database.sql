-- The counters of this database.
select
    xact_commit, xact_rollback, blks_read, blks_hit, tup_returned, tup_fetched, tup_inserted, tup_updated,
    tup_deleted, temp_files, temp_bytes, deadlocks, blk_read_time as blk_read_ms, blk_write_time as blk_write_ms,
    stats_reset
from pg_stat_database
where datname = current_database()
