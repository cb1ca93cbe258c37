-- Every parameter as this role's sessions in this database begin: reset_val, since dbtune's own session sets some.
-- Those that only pg_read_all_settings may see are missing for other roles.
select
    settings.name::text as name,
    settings.reset_val::text as value,
    settings.boot_val::text as default_value,
    settings.unit::text as unit,
    settings.context::text as context,
    settings.pending_restart
from pg_settings settings
