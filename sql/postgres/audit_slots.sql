-- Replication slots and the WAL that each keeps back. Until 16 nobody knows since when one is inactive.
select
    slot_name::text as name, slot_type::text as kind, active, temporary, wal_status::text as wal_status,
    case when not pg_is_in_recovery() then pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)
         else pg_wal_lsn_diff(pg_last_wal_receive_lsn(), restart_lsn) end::bigint as kept_bytes,
    safe_wal_size::bigint as room_bytes,
    null::float8 as inactive_s,
    greatest(age(xmin), age(catalog_xmin))::bigint as xmin_age,
    pg_size_bytes(current_setting('max_wal_size')) as max_wal_bytes,
    current_setting('max_slot_wal_keep_size') = '-1' as unbounded
from pg_replication_slots
