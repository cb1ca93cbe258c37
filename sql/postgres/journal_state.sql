-- Whether the journal's tables are here, whether this role may use or make them, and what there could run the code of
-- somebody whom it must not serve: anybody who may create a schema may have made them first.
-- Looked up in pg_class: to_regclass() is an error for a role that may not even look into the schema.
with journal as (
    select
        count(*) = 2 as present,
        coalesce(bool_and(has_schema_privilege(space.oid, 'USAGE') and has_table_privilege(relation.oid, 'SELECT')),
                 false) as readable,
        coalesce(bool_and(has_table_privilege(relation.oid, 'INSERT') and has_table_privilege(relation.oid, 'UPDATE')),
                 false) as writable
    from pg_class relation join pg_namespace space on space.oid = relation.relnamespace
    where space.nspname = 'dbtune' and relation.relname in ('run', 'step') and relation.relkind = 'r'
),
session as (
    -- Code that runs as the current role can become the session's, so that its rights are the ones at stake.
    select
        exists (select from pg_roles
                 where pg_has_role(session_user, oid, 'MEMBER')
                   and (rolsuper or rolcreaterole or rolreplication or rolbypassrls
                        or rolname in ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files',
                                       'pg_read_all_data', 'pg_write_all_data'))) as is_powerful,
        case when current_setting('server_version_num')::integer < 160000 then 'MEMBER' else 'SET' end as becoming,
        (select datdba from pg_database where datname = current_database()) as database_owner,
        format('owner to %%I', current_user) as owner_to
),
relation as (
    select
        relation.oid, relation.relowner, relation.relacl, relation.relkind,
        format('dbtune.%%I', relation.relname) as name,
        case relation.relkind
            when 'v' then 'view' when 'm' then 'materialized view' when 'f' then 'foreign table'
            when 'S' then 'sequence' when 'i' then 'index' when 'c' then 'type' else 'table' end as kind,
        relation.relkind <> 'r'
            or exists (select from pg_inherits where relation.oid in (inhrelid, inhparent)) as is_no_plain_table
    from pg_class relation join pg_namespace space on space.oid = relation.relnamespace
    where space.nspname = 'dbtune' and relation.relname in ('run', 'step')
),
plain as (select * from relation where not is_no_plain_table),
attached (class, object, part, what, repair) as (
    select 'pg_trigger'::regclass, trigger.oid, 0, format('the trigger %%I on %%s', tgname, name),
        format('drop trigger %%I on %%s', tgname, name)
    from plain join pg_trigger trigger on tgrelid = plain.oid where not tgisinternal
    union all
    select 'pg_rewrite'::regclass, rule.oid, 0, format('the rule %%I on %%s', rulename, name),
        format('drop rule %%I on %%s', rulename, name)
    from plain join pg_rewrite rule on ev_class = plain.oid
    union all
    select 'pg_policy'::regclass, policy.oid, 0, format('the row policy %%I on %%s', polname, name),
        format('drop policy %%I on %%s', polname, name)
    from plain join pg_policy policy on polrelid = plain.oid
    union all
    select 'pg_constraint'::regclass, bound.oid, 0, format('the constraint %%I of %%s', conname, name),
        format('alter table %%s drop constraint %%I', name, conname)
    from plain join pg_constraint bound on conrelid = plain.oid
    union all
    select 'pg_class'::regclass, indexrelid, 0, format('the index dbtune.%%I', relname),
        format('drop index dbtune.%%I', relname)
    from plain join pg_index on indrelid = plain.oid join pg_class on pg_class.oid = indexrelid
    union all
    select 'pg_attrdef'::regclass, filled.oid, 0, format('the column %%I of %%s', attname, name),
        case when attgenerated = '' then format('alter table %%s alter %%I drop default', name, attname)
             else format('alter table %%s drop %%I', name, attname) end
    from plain join pg_attrdef filled on adrelid = plain.oid
    join pg_attribute on attrelid = plain.oid and attnum = adnum
    union all
    -- Before 15 it is the column itself that depends on what generates it.
    select 'pg_class'::regclass, plain.oid, attnum, format('the column %%I of %%s', attname, name),
        case when attgenerated = '' then 'drop schema dbtune cascade'
             else format('alter table %%s drop %%I', name, attname) end
    from plain join pg_attribute on attrelid = plain.oid and attnum > 0 and not attisdropped
),
called as (
    -- What PostgreSQL itself brought is pinned, and no dependency.
    select attached.what, attached.repair, used.name, used.owner
    from attached join pg_depend on (classid, objid, objsubid) = (class, object, part)
    cross join lateral (
        select format('the function %%s.%%I', pronamespace::regnamespace, proname) as name, proowner as owner
        from pg_proc where refclassid = 'pg_proc'::regclass and pg_proc.oid = refobjid
        union all
        select format('the operator %%s', oprname), proowner
        from pg_operator join pg_proc on pg_proc.oid = oprcode
        where refclassid = 'pg_operator'::regclass and pg_operator.oid = refobjid
        union all
        select format('the type %%I', typname), typowner
        from pg_type where refclassid = 'pg_type'::regclass and pg_type.oid = refobjid
        union all
        select format('the relation %%s.%%I', relnamespace::regnamespace, relname), relowner
        from pg_class where refclassid = 'pg_class'::regclass and pg_class.oid = refobjid
          and relnamespace <> (select oid from pg_namespace where nspname = 'dbtune')
    ) used
),
suspect (place, what, owner, repair) as (
    select 1, 'the schema dbtune', nspowner, 'alter schema dbtune ' || owner_to
    from pg_namespace cross join session where nspname = 'dbtune'
    union all
    select 2, format('the %%s %%s', kind, name), case when not is_no_plain_table then relowner end,
        case when is_no_plain_table then format('drop %%s %%s cascade', kind, name)
             else format('alter table %%s %%s', name, owner_to) end
    from relation cross join session
    union all
    select case repair when 'drop schema dbtune cascade' then 5 else 3 end,
        format('%%s, which uses %%s', what, called.name), owner, repair
    from called
    union all
    select 4, format('the right to add triggers to %%s', name), grantee,
        format('revoke trigger on %%s from %%s', name,
               coalesce((select format('%%I', rolname) from pg_roles where oid = grantee), 'public'))
    from plain cross join aclexplode(relacl) where privilege_type = 'TRIGGER'
),
untrusted as (
    select suspect.*, coalesce(rolname, case owner when 0 then 'everybody' end) as rolname
    from suspect cross join session left join pg_roles on pg_roles.oid = owner
    -- What is no plain table has no owner here: whoever it is, it is not the journal.
    -- Whoever may become this role gains nothing by it. An ordinary role runs the code of the database's owner, and of
    -- roles that it belongs to, whenever it uses their tables.
    where not coalesce(
        rolsuper or rolname = current_user or pg_has_role(owner, session_user, becoming)
        or (not is_powerful and (owner = database_owner or pg_has_role(session_user, owner, 'MEMBER'))), false)
)
select
    present, readable, writable,
    -- The schema may be left of a first run that was cut off, and be somebody else's.
    case when exists (select from pg_namespace where nspname = 'dbtune')
         then (select has_schema_privilege(oid, 'CREATE, USAGE') and pg_has_role(nspowner, 'USAGE')
                 from pg_namespace where nspname = 'dbtune')
         else has_database_privilege(current_database(), 'CREATE') end as creatable,
    (select system_identifier::text from pg_control_system()) as system,
    array(select case when rolname is null then what || ', which is no plain table'
                      else format('%%s of %%s', what, rolname) end
            from untrusted order by place, what) as suspects,
    array(select repair from untrusted group by repair order by min(place), repair) as repairs
from journal
