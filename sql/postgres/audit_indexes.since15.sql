-- As audit_indexes.sql; 15 brought NULLS NOT DISTINCT (pg_index.indnullsnotdistinct).
-- Names are looked up and printed on the role's own search path.
with recursive behind as (
    select conindid,
        (min(conname::text) filter (where contype in ('p', 'u', 'x'))) as name,
        bool_or(contype = 'f') as referenced
    from pg_constraint
    where conindid <> 0
    group by conindid
),
building as (
    select relid from pg_stat_progress_create_index
    where datid = (select oid from pg_database where datname = current_database()) and relid is not null
    union
    select relation from pg_locks
    where mode = 'ShareUpdateExclusiveLock' and granted and not pg_has_role('pg_read_all_stats', 'USAGE')
      and database = (select oid from pg_database where datname = current_database())
),
members (root, member) as (
    select oid, oid
    from pg_partitioned_table
    join pg_index on indrelid = partrelid
    join pg_class on oid = indexrelid and not relispartition
    union all
    select root, inhrelid from members join pg_inherits on inhparent = member
),
trees as (
    select root, sum(relpages::bigint) as pages, sum(pg_stat_get_numscans(member)) as scans
    from members
    join pg_class on pg_class.oid = member
    group by root
),
interesting as (
    select indexrelid from pg_index
    join (
        select indrelid, indkey[0] as first_column from pg_index group by 1, 2 having count(*) > 1
    ) shared on shared.indrelid = pg_index.indrelid and shared.first_column = pg_index.indkey[0]
    union
    select indexrelid from pg_index where not (indisvalid and indisready and indislive)
    union
    select oid from pg_class
    where relkind = 'i'
      and case when relpages >= (select 1048576 / current_setting('block_size')::int)
               then pg_stat_get_numscans(oid) = 0 end
    union
    select root from trees
),
candidates as (
    select
        index_row.*,
        index_class.relname,
        index_class.relkind,
        index_class.relam,
        index_class.relispartition,
        indexed.relname as table_name,
        space.nspname,
        coalesce(trees.pages, index_class.relpages) as pages,
        coalesce(trees.scans, pg_stat_get_numscans(index_class.oid), 0) as scans,
        index_row.indisvalid and index_row.indisready and index_row.indislive as usable,
        count(*) filter (where not index_class.relispartition)
            over (partition by index_row.indrelid, index_class.relam, index_row.indkey[0]) as alike
    from pg_index index_row
    join pg_class index_class on index_class.oid = index_row.indexrelid
    join pg_class indexed on indexed.oid = index_row.indrelid
    join pg_namespace space on space.oid = index_class.relnamespace
    left join trees on trees.root = index_class.oid
    -- As an array: the planner expects few of them, and looks each up.
    where index_row.indexrelid = any (array(select indexrelid from interesting))
      and indexed.relkind in ('r', 'm', 'p') and space.nspname not in ('pg_catalog', 'information_schema', 'dbtune')
      and space.nspname not like 'pg\_toast%%' and space.nspname not like 'pg\_temp%%'
)
select
    candidate.indexrelid::bigint as oid,
    candidate.indrelid::bigint as table_oid,
    candidate.nspname::text as schema,
    candidate.relname::text as name,
    candidate.table_name::text as table,
    candidate.relkind = 'I' as is_partitioned,
    method.amname::text as method,
    candidate.indnkeyatts::int as key_count,
    candidate.indkey::text as columns,
    candidate.indoption::text as options,
    candidate.indclass::text as opclasses,
    candidate.indcollation::text as collations,
    regexp_replace(candidate.indexprs::text, ' :location -?\d+', '', 'g') as expressions,
    regexp_replace(candidate.indpred::text, ' :location -?\d+', '', 'g') as predicate,
    pg_get_indexdef(candidate.indexrelid) as definition,
    candidate.indisunique as is_unique,
    candidate.indnullsnotdistinct as nulls_not_distinct,
    candidate.indisreplident as is_replica_identity,
    behind.name as constraint_name,
    coalesce(behind.referenced, false) as is_referenced,
    candidate.usable,
    building.relid is not null as being_built,
    (candidate.pages * current_setting('block_size')::bigint)::bigint as size_bytes,
    candidate.scans::bigint as scans
from candidates candidate
join pg_am method on method.oid = candidate.relam
left join behind on behind.conindid = candidate.indexrelid
left join building on building.relid = candidate.indrelid
where not candidate.usable
   or (not candidate.relispartition and candidate.alike > 1)
   or (not candidate.relispartition and candidate.scans = 0 and not candidate.indisunique
       and candidate.pages * current_setting('block_size')::bigint >= 1048576)
