-- Every parameter that the server knows, to find the nearest names of one that does not exist.
select name::text as name from pg_settings order by 1
