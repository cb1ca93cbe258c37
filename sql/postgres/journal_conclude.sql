-- How the change ended. For a transactional change this commits together with it, so that what was called applied
-- was made: a failure that is told afterwards (an interrupt just then) does not unmake it.
update dbtune.step
   set status = case when status = 'applied' and %(status)s = 'failed' then status else %(status)s end, undo = coalesce(%(undo)s::jsonb, undo), after = coalesce(%(after)s::jsonb, after),
       error = %(error)s, ended_at = clock_timestamp()
 where run_id = %(run_id)s and place = %(place)s
