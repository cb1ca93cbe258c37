-- The intent, committed before the change: from it a second run, or a rollback, knows what may be half done.
insert into dbtune.step (run_id, place, step_id, kind, name, fingerprint, status, actions, undo, sql, before)
values (%(run_id)s, %(place)s, %(step_id)s, %(kind)s, %(name)s, %(fingerprint)s, 'intended',
        %(actions)s, %(undo)s, %(sql)s, %(before)s)
