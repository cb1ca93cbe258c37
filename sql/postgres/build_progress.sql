-- The concurrent builds under way on one table: the phase, how far, and whom it waits for.
-- The index is found by %(schema)s and %(name)s; its row exists from the first phase on.
select
    progress.pid,
    progress.phase::text as phase,
    progress.lockers_total, progress.lockers_done,
    nullif(progress.current_locker_pid, 0) as waits_for,
    progress.blocks_total, progress.blocks_done,
    progress.tuples_total, progress.tuples_done,
    activity.backend_start
from pg_stat_progress_create_index progress
join pg_class index_class on index_class.oid = progress.index_relid
join pg_namespace space on space.oid = index_class.relnamespace
left join pg_stat_activity activity on activity.pid = progress.pid
where progress.datid = (select oid from pg_database where datname = current_database())
  and space.nspname = %(schema)s and index_class.relname = %(name)s
