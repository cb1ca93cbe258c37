-- Whether pg_stat_statements is here, loaded and up to date. Its parameters exist only while its library is loaded,
-- which every role may see.
select
    exists (select from pg_available_extensions where name = 'pg_stat_statements') as available,
    current_setting('pg_stat_statements.max', true) is not null as loaded,
    (select extversion::text from pg_extension where extname = 'pg_stat_statements') as version,
    (select default_version::text from pg_available_extensions where name = 'pg_stat_statements') as newest_version,
    current_setting('pg_stat_statements.track', true) as track,
    (select reset_val::text from pg_settings where name = 'shared_preload_libraries') as preloaded
