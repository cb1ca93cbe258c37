-- The parameters in %(names)s as a new session of this role and database would see them: this one has set some itself.
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
    role.rolsuper as may_alter_system,
    settings.context = 'user' or role.rolsuper as may_set
from pg_settings settings
join pg_roles role on role.rolname = current_user
where lower(settings.name) = any (%(names)s::text[])
