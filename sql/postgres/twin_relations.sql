-- The relations of %(oids)s (null: every one of the database's own), and all that they need: what views read, parents,
-- partitions. Sizes are those of the files now, which is what the planner looks at.
with recursive wanted as (
    select pg_class.oid
    from pg_class
    where relkind in ('r', 'p', 'v', 'm', 'f') and relpersistence <> 't'
      and case when %(oids)s::bigint[] is null
               then relnamespace not in (select oid from pg_namespace
                                          where nspname in ('pg_catalog', 'information_schema', 'dbtune')
                                             or nspname like 'pg\_toast%%' or nspname like 'pg\_temp%%')
                and not exists (select from pg_depend where classid = 'pg_class'::regclass and objid = pg_class.oid
                                                        and deptype = 'e')
               else pg_class.oid = any (%(oids)s::bigint[]::oid[]) end
    union
    select needed.oid
    from wanted
    join lateral (
        select pg_depend.refobjid
        from pg_rewrite
        join pg_depend on pg_depend.classid = 'pg_rewrite'::regclass and pg_depend.objid = pg_rewrite.oid
                      and pg_depend.refclassid = 'pg_class'::regclass
        where pg_rewrite.ev_class = wanted.oid
        union all select inhrelid from pg_inherits where inhparent = wanted.oid
        union all select inhparent from pg_inherits where inhrelid = wanted.oid
    ) as needed(oid) on needed.oid <> wanted.oid
)
select
    pg_class.oid::bigint as oid,
    pg_namespace.nspname::text as schema,
    pg_class.relname::text as name,
    pg_class.relkind::text as kind,
    case when pg_class.relkind in ('r', 'm')
         then coalesce(pg_relation_size(pg_class.oid), 0) / current_setting('block_size')::bigint else 0 end as pages,
    pg_class.relpages::bigint as relpages,
    -- Before 14 a table that nobody has looked at has 0 rows.
    case when pg_class.reltuples = 0 and pg_class.relpages = 0
              and current_setting('server_version_num')::int < 140000 then -1
         else pg_class.reltuples::text::float8 end as rows,
    pg_class.relallvisible::bigint as visible_pages,
    case when pg_class.relkind in ('v', 'm') then pg_get_viewdef(pg_class.oid) end as query,
    case when pg_class.relkind = 'p' then pg_get_partkeydef(pg_class.oid) end as partition_key,
    pg_get_expr(pg_class.relpartbound, pg_class.oid) as bound,
    (select coalesce(jsonb_agg(jsonb_build_array(space.nspname, parent.relname) order by inhseqno), '[]')
       from pg_inherits join pg_class parent on parent.oid = inhparent join pg_namespace space on space.oid = parent.relnamespace
      where inhrelid = pg_class.oid) as parents,
    coalesce(pg_class.reloptions, '{}') as options,
    not has_any_column_privilege(pg_class.oid, 'SELECT') or row_security_active(pg_class.oid) as unreadable,
    counters.relid is not null as counted,
    counters.n_tup_ins as inserted,
    counters.n_tup_upd as updated,
    counters.n_tup_hot_upd as hot_updated,
    counters.n_tup_del as deleted,
    counters.seq_scan as sequential_scans,
    counters.idx_scan as index_scans,
    counters.n_live_tup as live,
    greatest(counters.last_analyze, counters.last_autoanalyze) as analyzed_at
from wanted
join pg_class on pg_class.oid = wanted.oid
join pg_namespace on pg_namespace.oid = pg_class.relnamespace
left join pg_stat_user_tables counters on counters.relid = pg_class.oid
where pg_class.relkind in ('r', 'p', 'v', 'm', 'f') and pg_namespace.nspname not in ('pg_catalog', 'information_schema')
order by pg_namespace.nspname, pg_class.relname
