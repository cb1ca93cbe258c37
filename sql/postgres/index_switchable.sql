-- The indexes of these names that are ready, and whether they may be hidden: not those that a constraint needs.
select
    class.oid::bigint as index, namespace.nspname::text as schema, class.relname::text as name,
    pg_index.indisvalid as valid,
    (pg_index.indisunique or exists (select from pg_constraint where conindid = class.oid)) as needed
from pg_index
join pg_class class on class.oid = pg_index.indexrelid
join pg_namespace namespace on namespace.oid = class.relnamespace
where namespace.nspname || '.' || class.relname = any (%(names)s::text[]) and pg_index.indisready
