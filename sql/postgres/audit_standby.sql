-- How far this server is behind, when it is a replica itself: no row otherwise.
select
    pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::bigint as unreplayed_bytes,
    extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp())::float8 as last_replayed_s,
    pg_is_wal_replay_paused() as paused
where pg_is_in_recovery()
