-- The whole server, since 14: pg_stat_wal counts WAL.
select
    bgwriter.checkpoints_timed, bgwriter.checkpoints_req as checkpoints_requested,
    wal.wal_records, wal.wal_bytes::bigint as wal_bytes, wal.wal_fpi, wal.wal_buffers_full,
    bgwriter.checkpoint_write_time as checkpoint_write_ms, bgwriter.checkpoint_sync_time as checkpoint_sync_ms,
    bgwriter.buffers_checkpoint as checkpoint_buffers, wal.stats_reset as stats_reset,
    bgwriter.stats_reset as checkpoints_reset
from pg_stat_bgwriter bgwriter, pg_stat_wal wal
