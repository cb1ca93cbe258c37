-- Client sessions of this database at this moment, and what waits for a lock.
select
    count(*) filter (where state = 'active') as active,
    count(*) filter (where state = 'idle') as idle,
    count(*) filter (where state like 'idle in transaction%%') as idle_in_transaction,
    count(*) filter (where wait_event_type = 'Lock') as waiting_for_lock,
    (
        select count(*) from pg_locks
        where granted and database = (select oid from pg_database where datname = current_database())
    ) as locks_held,
    current_setting('max_connections')::integer as max_connections
from pg_stat_activity
where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()
