-- As table_statistics.sql; 17 brought the privilege MAINTAIN, which is enough to analyze.
-- Names are looked up and printed on the role's own search path.
select
    wanted.name as given,
    space.nspname::text as schema,
    relation.relname::text as name,
    relation.relkind::text as kind,
    greatest(relation.reltuples, 0)::float8 as row_count,
    greatest(activity.last_analyze, activity.last_autoanalyze) as analyzed_at,
    coalesce(activity.n_mod_since_analyze, 0)::bigint as modified,
    pg_has_role(relation.relowner, 'USAGE') or pg_has_role(this_database.datdba, 'USAGE')
        or has_table_privilege(relation.oid, 'MAINTAIN') as owned
from unnest(%(names)s::text[]) as wanted(name)
join pg_class relation on relation.oid = to_regclass(wanted.name)
join pg_namespace space on space.oid = relation.relnamespace
join pg_database this_database on this_database.datname = current_database()
left join pg_stat_user_tables activity on activity.relid = relation.oid
