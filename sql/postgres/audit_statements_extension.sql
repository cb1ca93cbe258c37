-- Whether pg_stat_statements is here, loaded and up to date. pg_settings shows its parameters to every role, and
-- only while its library is loaded; current_setting would also give what a file sets without it.
select
    exists (select from pg_available_extensions where name = 'pg_stat_statements') as available,
    exists (select from pg_settings where name = 'pg_stat_statements.max') as loaded,
    (select extversion::text from pg_extension where extname = 'pg_stat_statements') as version,
    (select default_version::text from pg_available_extensions where name = 'pg_stat_statements') as newest_version,
    (select reset_val::text from pg_settings where name = 'pg_stat_statements.track') as track,
    (select reset_val::text from pg_settings where name = 'shared_preload_libraries') as preloaded
