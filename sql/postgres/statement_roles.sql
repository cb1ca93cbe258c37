-- Roles whose statements are to be planned: which of them could gain something by code that runs with this session's
-- rights. Nobody where the session has no powers of its own, and nobody who may become its role (as in journal_state).
select
    id as role_id,
    rolname::text as name,
    coalesce(
        rolsuper or rolname = current_user
        or pg_has_role(pg_roles.oid, session_user,
                       case when current_setting('server_version_num')::integer < 160000 then 'MEMBER' else 'SET' end),
        false
    ) or not exists (
        select from pg_roles power
         where pg_has_role(session_user, power.oid, 'MEMBER')
           and (power.rolsuper or power.rolcreaterole or power.rolreplication or power.rolbypassrls
                or power.rolname in ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files',
                                     'pg_read_all_data', 'pg_write_all_data'))
    ) as is_trusted
from unnest(%(ids)s::bigint[]) id left join pg_roles on pg_roles.oid = id::oid
