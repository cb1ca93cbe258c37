-- The facts that a capture is fingerprinted with, readable by any role.
select
    (select oid::bigint from pg_database where datname = current_database()) as database_oid,
    current_database()::text as database,
    pg_postmaster_start_time() as postmaster_started_at
