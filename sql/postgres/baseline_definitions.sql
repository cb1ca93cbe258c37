-- How the indexes of user tables are defined, the 2,000 made last; read once, after the last snapshot. They explain
-- what is new since an earlier capture, and of tens of thousands the server would write definitions for a second.
-- Names are looked up and printed on the role's own search path.
select
    index_namespace.nspname || '.' || index_class.relname as name, pg_get_indexdef(index_class.oid) as definition
from pg_index
join pg_class index_class on index_class.oid = pg_index.indexrelid
join pg_namespace index_namespace on index_namespace.oid = index_class.relnamespace
where index_namespace.nspname not in ('pg_catalog', 'information_schema', 'dbtune')
    and index_namespace.nspname not like 'pg\_toast%%' and index_namespace.nspname not like 'pg\_temp%%'
order by pg_index.indexrelid desc
limit 2000
