-- What every judgement may know: who asks whom, and since when the counters count.
select
    current_database()::text as database,
    current_user::text as user,
    (select rolsuper from pg_roles where rolname = current_user) as is_superuser,
    pg_is_in_recovery() as is_replica,
    extract(epoch from clock_timestamp() - coalesce(
        (select stats_reset from pg_stat_database where datname = current_database()), pg_postmaster_start_time()
    ))::float8 as statistics_age_s
