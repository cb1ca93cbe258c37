-- How old the statistics of the tables in a plan are. %(names)s are quoted names.
-- A session reports its inserts late: those made just before an ANALYZE count as made after it. A file that has not
-- grown since tells that they were not, so then only updates and deletes count.
-- Names are looked up and printed on the role's own search path.
select
    space.nspname::text as schema,
    rel.relname::text as name,
    greatest(rel.reltuples, 0)::float8 as rows,
    case
        when pg_relation_size(rel.oid) > 1.05 * rel.relpages * current_setting('block_size')::bigint
            then coalesce(pg_stat_get_mod_since_analyze(rel.oid), 0)
        else least(
            coalesce(pg_stat_get_mod_since_analyze(rel.oid), 0),
            coalesce(pg_stat_get_tuples_updated(rel.oid) + pg_stat_get_tuples_deleted(rel.oid), 0)
        )
    end::bigint as modified_rows,
    (pg_stat_get_last_analyze_time(rel.oid) is not null or pg_stat_get_last_autoanalyze_time(rel.oid) is not null
        or rel.reltuples > 0) as analyzed
from unnest(%(names)s::text[]) wanted
join pg_class rel on rel.oid = to_regclass(wanted)::oid
join pg_namespace space on space.oid = rel.relnamespace
