-- The settings that decide about plans, as a new session of this role gets them.
select name, reset_val as value
from pg_settings
where category like 'Query Tuning%%'
   or name in ('work_mem', 'hash_mem_multiplier', 'max_parallel_workers', 'max_parallel_workers_per_gather',
               'parallel_leader_participation', 'default_statistics_target', 'search_path', 'TimeZone', 'DateStyle',
               'IntervalStyle', 'standard_conforming_strings', 'backslash_quote', 'default_text_search_config',
               'row_security', 'bytea_output', 'transform_null_equals', 'array_nulls')
order by name
