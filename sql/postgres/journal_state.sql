-- Whether the journal's tables are here, and whether this role may use or make them.
select
    to_regclass('dbtune.run') is not null and to_regclass('dbtune.step') is not null as present,
    coalesce(has_table_privilege(to_regclass('dbtune.run'), 'SELECT'), false)
        and has_schema_privilege((select oid from pg_namespace where nspname = 'dbtune'), 'USAGE') as readable,
    coalesce(has_table_privilege(to_regclass('dbtune.step'), 'INSERT, UPDATE'), false) as writable,
    has_database_privilege(current_database(), 'CREATE') as creatable,
    (select system_identifier::text from pg_control_system()) as system
