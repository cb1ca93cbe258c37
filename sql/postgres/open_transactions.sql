-- What a concurrent index build would wait for: every open transaction of this database, oldest first,
-- prepared ones too. The builder's own kin are left out: our sessions hold no transaction while they wait.
select
    activity.pid,
    null::text as prepared,
    coalesce(activity.usename, '')::text as role,
    coalesce(activity.application_name, '')::text as application,
    coalesce(activity.state, 'hidden')::text as state,
    extract(epoch from clock_timestamp() - activity.xact_start)::float8 as age_s,
    left(coalesce(activity.query, ''), 120)::text as query
from pg_stat_activity activity
where activity.datname = current_database()
  and activity.pid <> pg_backend_pid()
  and activity.xact_start is not null
  and activity.backend_type = 'client backend'
union all
select null, prepared.gid, prepared.owner::text, '', 'prepared',
    extract(epoch from clock_timestamp() - prepared.prepared)::float8, ''
from pg_prepared_xacts prepared
where prepared.database = current_database()
order by age_s desc nulls last
limit 20
