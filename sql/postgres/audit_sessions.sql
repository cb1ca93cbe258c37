-- Client sessions of all databases but dbtune's own. A role without pg_read_all_stats sees of others' only who they are:
-- their state and their times are null, and so is the kind of backend.
select
    activity.pid,
    coalesce(activity.datname::text, '') as database,
    coalesce(activity.usename::text, '') as role,
    coalesce(activity.application_name, '') as application,
    activity.state::text as state,
    extract(epoch from clock_timestamp() - activity.backend_start)::float8 as age_s,
    extract(epoch from clock_timestamp() - activity.xact_start)::float8 as transaction_age_s,
    extract(epoch from clock_timestamp() - activity.state_change)::float8 as state_age_s,
    coalesce(activity.query, '')::text as query
from pg_stat_activity activity
where activity.pid <> pg_backend_pid()
  and (activity.application_name = 'dbtune' and activity.usename = current_user) is not true
  and activity.datid is not null
  and (activity.backend_type = 'client backend' or activity.backend_type is null)
