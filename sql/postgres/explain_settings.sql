-- What bounds a sort or a hash table here.
select (setting::bigint * 1024)::bigint as work_mem_bytes from pg_settings where name = 'work_mem'
