-- One index by name: what stands there now, to decide whether it is ours to drop.
-- Names are looked up and printed on the role's own search path.
select
    index_class.oid::bigint as oid,
    index_row.indisvalid and index_row.indisready and index_row.indislive as usable,
    indexed_space.nspname::text as table_schema,
    indexed.relname::text as table_name,
    pg_get_indexdef(index_class.oid) as definition,
    pg_relation_size(index_class.oid) as size_bytes
from pg_class index_class
join pg_namespace space on space.oid = index_class.relnamespace
join pg_index index_row on index_row.indexrelid = index_class.oid
join pg_class indexed on indexed.oid = index_row.indrelid
join pg_namespace indexed_space on indexed_space.oid = indexed.relnamespace
where space.nspname = %(schema)s and index_class.relname = %(name)s
