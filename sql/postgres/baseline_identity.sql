-- The cluster's own identifier; apart from the other facts, because some hosted servers refuse the function.
select system_identifier::text as system_identifier from pg_control_system()
