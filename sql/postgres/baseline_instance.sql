-- The whole server, 13: checkpoints are counted in pg_stat_bgwriter, WAL is not counted yet.
select
    checkpoints_timed, checkpoints_req as checkpoints_requested,
    null::bigint as wal_records, null::bigint as wal_bytes, null::bigint as wal_fpi, null::bigint as wal_buffers_full,
    checkpoint_write_time as checkpoint_write_ms, checkpoint_sync_time as checkpoint_sync_ms,
    buffers_checkpoint as checkpoint_buffers, null::timestamptz as stats_reset, stats_reset as checkpoints_reset
from pg_stat_bgwriter
