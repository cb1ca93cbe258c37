-- Names of roles: captures of two servers match statements by name, where oids differ.
select oid::bigint as oid, rolname::text as name from pg_roles
