-- What one run meant to change and did, in the order of its work.
select run_id, place, step_id, kind, name, fingerprint, status, actions, undo, sql, before, after,
    started_at, ended_at, error
from dbtune.step
where run_id = %(run_id)s
order by place
