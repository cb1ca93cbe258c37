-- The whole server, since 14: pg_stat_wal counts WAL.
select
    bgwriter.checkpoints_timed, bgwriter.checkpoints_req as checkpoints_requested,
    wal.wal_records, wal.wal_bytes::bigint as wal_bytes
from pg_stat_bgwriter bgwriter, pg_stat_wal wal
