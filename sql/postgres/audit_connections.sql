-- How many of the connections are taken; numbackends is there for every role, and counts ours.
select
    (select sum(numbackends) from pg_stat_database)::int as used,
    current_setting('max_connections')::int as maximum,
    current_setting('superuser_reserved_connections')::int
        + coalesce(current_setting('reserved_connections', true), '0')::int as reserved,
    (select datconnlimit from pg_database where datname = current_database()) as database_limit,
    (select numbackends from pg_stat_database where datname = current_database()) as database_used
