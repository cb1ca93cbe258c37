-- The whole server, since 17: checkpoints moved to pg_stat_checkpointer.
select
    checkpointer.num_timed as checkpoints_timed, checkpointer.num_requested as checkpoints_requested,
    wal.wal_records, wal.wal_bytes::bigint as wal_bytes
from pg_stat_checkpointer checkpointer, pg_stat_wal wal
