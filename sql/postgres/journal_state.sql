-- Whether the journal's tables are here, and whether this role may use or make them.
-- Looked up in pg_class: to_regclass() is an error for a role that may not even look into the schema.
with journal as (
    select
        count(*) = 2 as present,
        coalesce(bool_and(has_schema_privilege(space.oid, 'USAGE') and has_table_privilege(relation.oid, 'SELECT')),
                 false) as readable,
        coalesce(bool_and(has_table_privilege(relation.oid, 'INSERT') and has_table_privilege(relation.oid, 'UPDATE')),
                 false) as writable
    from pg_class relation join pg_namespace space on space.oid = relation.relnamespace
    where space.nspname = 'dbtune' and relation.relname in ('run', 'step') and relation.relkind = 'r'
)
select
    present, readable, writable,
    -- The schema may be left of a first run that was cut off, and be somebody else's.
    case when exists (select from pg_namespace where nspname = 'dbtune')
         then (select has_schema_privilege(oid, 'CREATE, USAGE') and pg_has_role(nspowner, 'USAGE')
                 from pg_namespace where nspname = 'dbtune')
         else has_database_privilege(current_database(), 'CREATE') end as creatable,
    (select system_identifier::text from pg_control_system()) as system
from journal
