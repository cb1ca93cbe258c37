-- A run begins. Runs that were cut off before are told so: whoever holds the lock is the only one alive.
with cut_off as (
    update dbtune.run set status = 'interrupted', ended_at = clock_timestamp()
     where status = 'running' and run_id <> %(run_id)s
)
insert into dbtune.run (run_id, command, playbook, playbook_hash, reverts, status, host, client_pid, dbtune,
                        backend_start)
values (%(run_id)s, %(command)s, %(playbook)s, %(playbook_hash)s, %(reverts)s, 'running', %(host)s, %(client_pid)s,
        %(dbtune)s, (select backend_start from pg_stat_activity where pid = pg_backend_pid()))
on conflict (run_id) do update
   set status = 'running', ended_at = null, host = excluded.host, client_pid = excluded.client_pid,
       backend_pid = pg_backend_pid(), backend_start = excluded.backend_start
