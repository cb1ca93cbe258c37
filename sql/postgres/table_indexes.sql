-- Every index of the tables in %(names)s, taken apart so that definitions can be compared, not names.
-- Before 15 no index could treat nulls as equal.
-- Names are looked up and printed on the role's own search path.
select
    indexed.oid::bigint as table_oid,
    index_class.oid::bigint as oid,
    index_space.nspname::text as schema,
    index_class.relname::text as name,
    table_space.nspname::text as table_schema,
    indexed.relname::text as table_name,
    method.amname::text as method,
    index_row.indisunique as is_unique,
    index_row.indisvalid and index_row.indisready and index_row.indislive as usable,
    false as nulls_not_distinct,
    exists (select from pg_constraint where conindid = index_class.oid and contype in ('p', 'u', 'x')) as backs_constraint,
    array(select case when index_row.indkey[place] = 0 then pg_get_indexdef(index_class.oid, place + 1, false)
                      else (select attname::text from pg_attribute
                             where attrelid = indexed.oid and attnum = index_row.indkey[place]) end
            from generate_series(0, index_row.indnkeyatts - 1) as place order by place) as keys,
    array(select index_row.indkey[place] = 0
            from generate_series(0, index_row.indnkeyatts - 1) as place order by place) as expressions,
    array(select index_row.indoption[place]::int
            from generate_series(0, index_row.indnkeyatts - 1) as place order by place) as options,
    array(select operators.opcname::text
            from generate_series(0, index_row.indnkeyatts - 1) as place
            join pg_opclass operators on operators.oid = index_row.indclass[place] order by place) as opclasses,
    array(select operators.opcdefault
            from generate_series(0, index_row.indnkeyatts - 1) as place
            join pg_opclass operators on operators.oid = index_row.indclass[place] order by place) as default_opclasses,
    array(select (select collname::text from pg_collation where oid = index_row.indcollation[place])
            from generate_series(0, index_row.indnkeyatts - 1) as place order by place) as collations,
    -- Written with the index, and not the column's or the expression's own: PostgreSQL prints it only then.
    array(select case when index_row.indkey[place] = 0
                      then strpos(pg_get_indexdef(index_class.oid),
                                  pg_get_indexdef(index_class.oid, place + 1, false) || ' COLLATE ') > 0
                      else index_row.indcollation[place] <> (select attcollation from pg_attribute
                             where attrelid = indexed.oid and attnum = index_row.indkey[place]) end
            from generate_series(0, index_row.indnkeyatts - 1) as place order by place) as own_collations,
    array(select attname::text
            from generate_series(index_row.indnkeyatts, index_row.indnatts - 1) as place
            join pg_attribute on attrelid = indexed.oid and attnum = index_row.indkey[place] order by place) as include,
    pg_get_expr(index_row.indpred, index_row.indrelid) as predicate,
    coalesce(index_class.reloptions, '{}') as storage,
    storage_space.spcname::text as tablespace,
    pg_get_indexdef(index_class.oid) as definition,
    pg_relation_size(index_class.oid) as size_bytes,
    building.pid as builder_pid
from unnest(%(names)s::text[]) as wanted(name)
join pg_class indexed on indexed.oid = to_regclass(wanted.name)
join pg_namespace table_space on table_space.oid = indexed.relnamespace
join pg_index index_row on index_row.indrelid = indexed.oid
join pg_class index_class on index_class.oid = index_row.indexrelid
join pg_namespace index_space on index_space.oid = index_class.relnamespace
join pg_am method on method.oid = index_class.relam
left join pg_tablespace storage_space on storage_space.oid = index_class.reltablespace
left join pg_stat_progress_create_index building
  on building.index_relid = index_class.oid
 and building.datid = (select oid from pg_database where datname = current_database())
order by index_class.relname
