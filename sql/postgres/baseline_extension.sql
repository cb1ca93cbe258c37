-- pg_stat_statements as it is installed here: its columns follow the version of the extension, not the server's,
-- and may lag behind after pg_upgrade. No row: the extension is not created in this database.
select
    extension.extversion::text as version,
    space.nspname::text as schema,
    array(
        select attribute.attname::text from pg_attribute attribute
         where attribute.attrelid = to_regclass(format('%%I.pg_stat_statements', space.nspname))
           and attribute.attnum > 0 and not attribute.attisdropped
    ) as columns,
    to_regclass(format('%%I.pg_stat_statements_info', space.nspname)) is not null as has_info
from pg_extension extension
join pg_namespace space on space.oid = extension.extnamespace
where extension.extname = 'pg_stat_statements'
