-- Every name that CREATE INDEX can use besides tables and columns, to find the nearest of one that does not exist.
select 'method'::text as kind, amname::text as name from pg_am where amtype = 'i'
union all
select distinct 'opclass', opcname::text from pg_opclass
union all
select distinct 'collation', collname::text from pg_collation
 where collencoding in (-1, (select encoding from pg_database where datname = current_database()))
union all
select 'tablespace', spcname::text from pg_tablespace
order by 1, 2
