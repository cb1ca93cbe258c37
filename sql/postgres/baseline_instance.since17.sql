-- The whole server, since 17: checkpoints moved to pg_stat_checkpointer.
select
    checkpointer.num_timed as checkpoints_timed, checkpointer.num_requested as checkpoints_requested,
    wal.wal_records, wal.wal_bytes::bigint as wal_bytes, wal.wal_fpi, wal.wal_buffers_full,
    checkpointer.write_time as checkpoint_write_ms, checkpointer.sync_time as checkpoint_sync_ms,
    checkpointer.buffers_written as checkpoint_buffers, wal.stats_reset as stats_reset,
    checkpointer.stats_reset as checkpoints_reset
from pg_stat_checkpointer checkpointer, pg_stat_wal wal
