-- As parameters.sql; 15 brought privileges on single parameters (GRANT SET, GRANT ALTER SYSTEM).
select
    lower(settings.name)::text as name,
    settings.vartype::text as type,
    settings.unit::text as unit,
    settings.context::text as context,
    settings.reset_val::text as effective,
    settings.boot_val::text as default_value,
    settings.min_val::text as lowest,
    settings.max_val::text as highest,
    settings.enumvals::text[] as choices,
    settings.source::text as source,
    settings.pending_restart,
    has_parameter_privilege(settings.name, 'ALTER SYSTEM') as may_alter_system,
    settings.context in ('user') or has_parameter_privilege(settings.name, 'SET') as may_set
from pg_settings settings
where lower(settings.name) = any (%(names)s::text[])
