-- The whole server, 13: checkpoints are counted in pg_stat_bgwriter, WAL is not counted yet.
select
    checkpoints_timed, checkpoints_req as checkpoints_requested,
    null::bigint as wal_records, null::bigint as wal_bytes
from pg_stat_bgwriter
