-- As audit_blocking.sql; since 14 pg_locks says since when a session waits, to every role.
-- Names are looked up and printed on the role's own search path.
with waiting as materialized (
    select
        locks.pid, min(locks.mode) as mode, min(coalesce(locks.relation::regclass::text, locks.locktype)) as target,
        min(locks.waitstart) as waitstart
    from pg_locks locks
    where not locks.granted
    group by locks.pid
), edges as materialized (
    select pid, mode, target, waitstart, pg_blocking_pids(pid) as blockers from waiting
), involved as (
    select pid from edges union select unnest(blockers) from edges
)
select
    involved.pid,
    coalesce(edges.blockers, '{}') as blockers,
    edges.mode,
    edges.target,
    coalesce(activity.usename::text, '') as role,
    coalesce(activity.application_name, '') as application,
    case when involved.pid = 0 then 'prepared' else activity.state::text end as state,
    extract(epoch from clock_timestamp() - activity.xact_start)::float8 as transaction_age_s,
    case when edges.pid is not null then
        extract(epoch from clock_timestamp() - coalesce(edges.waitstart, clock_timestamp()))
    end::float8 as waiting_s,
    coalesce(activity.query, '')::text as query
from involved
left join edges on edges.pid = involved.pid
left join pg_stat_activity activity on activity.pid = involved.pid
