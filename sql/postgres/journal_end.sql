-- A run ends, or is taken back by another one.
update dbtune.run
   set status = %(status)s, ended_at = coalesce(ended_at, clock_timestamp())
 where run_id = %(run_id)s
