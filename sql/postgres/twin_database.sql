-- The database itself: its collation, its counters' age, who else reads it.
select
    datname::text as database,
    now() as taken_at,
    datcollate in ('C', 'POSIX') as is_c_collation,
    (select stats_reset from pg_stat_database where datid = pg_database.oid) as statistics_since,
    (select count(*)::int from pg_stat_replication) as standbys,
    array(select format('%%s %%s %%s', extname, quote_ident(nspname), extversion)
            from pg_extension join pg_namespace on pg_namespace.oid = extnamespace order by extname) as extensions
from pg_database
where datname = current_database()
