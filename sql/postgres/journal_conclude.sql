-- How the change ended. For a transactional change this commits together with it.
update dbtune.step
   set status = %(status)s, undo = coalesce(%(undo)s::jsonb, undo), after = coalesce(%(after)s::jsonb, after),
       error = %(error)s, ended_at = clock_timestamp()
 where run_id = %(run_id)s and place = %(place)s
