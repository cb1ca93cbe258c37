-- What ALTER DATABASE and ALTER ROLE have laid down for %(names)s: for this database, and for any role.
select
    database.datname::text as database,
    role.rolname::text as role,
    lower(split_part(entry, '=', 1))::text as name,
    substr(entry, strpos(entry, '=') + 1)::text as value
from pg_db_role_setting laid
cross join unnest(laid.setconfig) as entry
left join pg_database database on database.oid = laid.setdatabase
left join pg_roles role on role.oid = laid.setrole
where lower(split_part(entry, '=', 1)) = any (%(names)s::text[])
  and (laid.setdatabase = 0 or database.datname = current_database())
