-- The runs, newest first. One that calls itself running while its backend is gone was interrupted.
select
    run_id, command, playbook, playbook_hash, reverts,
    case when status = 'running' and not exists (
        select from pg_stat_activity activity
         where activity.pid = run.backend_pid and activity.backend_start is not distinct from run.backend_start
    ) then 'interrupted' else status end as status,
    started_at, ended_at, role, host, client_pid,
    (select count(*)::int from dbtune.step where step.run_id = run.run_id) as steps
from dbtune.run
order by started_at desc, run_id desc
limit %(most)s
