-- What a statement may call or write to beside its own rows: functions and operators among %(names)s that are volatile
-- or have a body (which may call something volatile, whatever was declared), those of the triggers
-- on %(tables)s, on their partitions and on what foreign keys cascade to, and the foreign tables among these.
-- Names are looked up and printed on the role's own search path.
with recursive changed(oid) as (
    select to_regclass(name)::oid from unnest(%(tables)s::text[]) name where to_regclass(name) is not null
    union
    select edge.target
      from changed
      join (
        select inhparent as source, inhrelid as target from pg_inherits
        union all
        select confrelid, conrelid from pg_constraint
         where contype = 'f' and (confdeltype in ('c', 'n', 'd') or confupdtype in ('c', 'n', 'd'))
      ) edge on edge.source = changed.oid
)
select proc.proname::text as name, space.nspname::text as schema, lang.lanname::text as language,
       pg_get_functiondef(proc.oid) as definition
  from pg_proc proc
  join pg_namespace space on space.oid = proc.pronamespace
  join pg_language lang on lang.oid = proc.prolang
 where (proc.provolatile = 'v' or lang.lanname not in ('internal', 'c'))
   and proc.prokind in ('f', 'p')
   and (
        proc.proname::text = any(%(names)s::text[])
        or proc.oid in (
            select oper.oprcode from pg_operator oper
             where oper.oprname::text = any(%(names)s::text[]) and oper.oprnamespace <> 'pg_catalog'::regnamespace
        )
        or proc.oid in (
            select trig.tgfoid from pg_trigger trig join changed on changed.oid = trig.tgrelid
             where not trig.tgisinternal and trig.tgenabled <> 'D'
        )
   )
union all
select rel.relname::text, space.nspname::text, null, null
  from changed
  join pg_class rel on rel.oid = changed.oid and rel.relkind = 'f'
  join pg_namespace space on space.oid = rel.relnamespace
