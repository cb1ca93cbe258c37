-- The indexes of the relations in %(oids)s. Before 16 the server does not know when each was last used.
select
    index_class.oid::bigint as oid,
    index_space.nspname::text as schema,
    index_class.relname::text as name,
    table_space.nspname::text as table_schema,
    indexed.relname::text as "table",
    method.amname::text as method,
    pg_get_indexdef(index_class.oid) as definition,
    (select coalesce(jsonb_agg(jsonb_build_object(
                'column', (select attname from pg_attribute
                            where attrelid = indexed.oid and attnum = index_row.indkey[place] and attnum > 0),
                'expression', case when index_row.indkey[place] = 0
                                   then pg_get_indexdef(index_class.oid, place + 1, false) end,
                'option', index_row.indoption[place],
                'opclass', case when operator_space.nspname = 'pg_catalog' then operators.opcname::text
                                else format('%%I.%%I', operator_space.nspname, operators.opcname) end,
                'opclass_is_default', operators.opcdefault,
                'collation', (select collname from pg_collation where oid = index_row.indcollation[place]),
                'collation_is_own', strpos(pg_get_indexdef(index_class.oid),
                    pg_get_indexdef(index_class.oid, place + 1, false) || ' COLLATE ') > 0)
                order by place), '[]')
       from generate_series(0, index_row.indnkeyatts - 1) as place
       join pg_opclass operators on operators.oid = index_row.indclass[place]
       join pg_namespace operator_space on operator_space.oid = operators.opcnamespace) as keys,
    array(select attname::text
            from generate_series(index_row.indnkeyatts, index_row.indnatts - 1) as place
            join pg_attribute on attrelid = indexed.oid and attnum = index_row.indkey[place] order by place) as include,
    pg_get_expr(index_row.indpred, index_row.indrelid) as predicate,
    index_row.indisunique as is_unique,
    coalesce((to_jsonb(index_row) ->> 'indnullsnotdistinct')::boolean, false) as nulls_not_distinct,
    index_row.indisvalid and index_row.indisready and index_row.indislive as is_valid,
    index_row.indisreplident as is_replica_identity,
    index_row.indisclustered as is_clustered,
    backed.contype::text as "constraint",
    backed.conname::text as constraint_name,
    pg_get_constraintdef(backed.oid) as constraint_definition,
    exists (select from pg_constraint where conindid = index_class.oid and contype = 'f') as is_referenced,
    (select jsonb_build_array(space.nspname, parent.relname)
       from pg_inherits join pg_class parent on parent.oid = inhparent join pg_namespace space on space.oid = parent.relnamespace
      where inhrelid = index_class.oid) as parent,
    case when index_class.relkind = 'i'
         then coalesce(pg_relation_size(index_class.oid), 0) / current_setting('block_size')::bigint else 0 end as pages,
    index_class.relpages::bigint as relpages,
    index_class.reltuples::text::float8 as rows,
    index_class.relkind::text as kind,
    coalesce(index_class.reloptions, '{}') as options,
    counters.idx_scan as scans,
    null::timestamptz as last_scan
from pg_index index_row
join pg_class index_class on index_class.oid = index_row.indexrelid
join pg_namespace index_space on index_space.oid = index_class.relnamespace
join pg_class indexed on indexed.oid = index_row.indrelid
join pg_namespace table_space on table_space.oid = indexed.relnamespace
join pg_am method on method.oid = index_class.relam
left join pg_constraint backed on backed.conindid = index_class.oid and backed.contype in ('p', 'u', 'x')
left join pg_stat_user_indexes counters on counters.indexrelid = index_class.oid
where index_row.indrelid = any (%(oids)s::bigint[]::oid[])
order by index_class.oid
