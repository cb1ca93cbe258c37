-- Every user index with its size and its counters: one statement, whatever the size of the catalog.
select
    space.nspname::text as schema,
    index_class.relname::text as name,
    indexed.relname::text as table,
    pg_get_indexdef(index_class.oid) as definition,
    index_row.indisunique as is_unique,
    exists (select from pg_constraint where conindid = index_class.oid and contype in ('p', 'u', 'x')) as backs_constraint,
    index_row.indisvalid and index_row.indisready and index_row.indislive as usable,
    exists (select from pg_stat_progress_create_index building where building.index_relid = index_class.oid) as being_built,
    pg_relation_size(index_class.oid) as size_bytes,
    coalesce(pg_stat_get_numscans(index_class.oid), 0)::bigint as scans
from pg_index index_row
join pg_class index_class on index_class.oid = index_row.indexrelid
join pg_class indexed on indexed.oid = index_row.indrelid
join pg_namespace space on space.oid = index_class.relnamespace
where indexed.relkind in ('r', 'm') and space.nspname not in ('pg_catalog', 'information_schema', 'dbtune')
  and space.nspname not like 'pg\_toast%%' and space.nspname not like 'pg\_temp%%'
order by 1, 2
