-- What follows this server. Only pg_read_all_stats sees how far the others' are.
select
    replica.pid,
    coalesce(nullif(replica.application_name, ''), replica.pid::text) as name,
    replica.state::text as state,
    replica.sync_state::text as sync_state,
    case when not pg_is_in_recovery() then pg_wal_lsn_diff(pg_current_wal_lsn(), replica.replay_lsn)
         else pg_wal_lsn_diff(pg_last_wal_receive_lsn(), replica.replay_lsn) end::bigint as behind_bytes,
    extract(epoch from replica.replay_lag)::float8 as behind_s
from pg_stat_replication replica
