-- Every role, to know whether one exists and to find the nearest names of one that does not.
select rolname::text as name from pg_roles where rolname not like 'pg\_%%' order by 1
