-- Every sequence with the column that it feeds: owned by it (serial), identity, or named in its default.
-- Its value is hidden from roles without SELECT or USAGE on it: `readable` tells that from one that was never used.
-- Those that count up to 2^63 in a column that can hold it are left out: at a million a second they last 292,000 years,
-- and each of them is a page to read.
-- On a replica unlogged sequences have no value to read.
-- Names are looked up and printed on the role's own search path.
with feeding as (
    -- Indexes depend on columns in the same way as sequences, and are many more: each sequence is looked up.
    select distinct on (sequence_oid) * from (
        select
            sequence.seqrelid as sequence_oid, owned.refobjid as table_oid, owned.refobjsubid as number, 1 as rank
        from pg_sequence sequence
        join pg_depend owned
          on owned.classid = 'pg_class'::regclass and owned.objid = sequence.seqrelid and owned.objsubid = 0
         and owned.refclassid = 'pg_class'::regclass and owned.refobjsubid > 0 and owned.deptype in ('a', 'i')
        union all
        select sequence.seqrelid, def.adrelid, def.adnum, 2
        from pg_sequence sequence
        join pg_depend named
          on named.refclassid = 'pg_class'::regclass and named.refobjid = sequence.seqrelid
         and named.classid = 'pg_attrdef'::regclass and named.deptype = 'n'
        join pg_attrdef def on def.oid = named.objid
    ) every
    order by sequence_oid, rank
), interesting as materialized (
    select sequence.*, feeding.table_oid, part.attname, part.atttypid
    from pg_sequence sequence
    left join feeding on feeding.sequence_oid = sequence.seqrelid
    left join pg_attribute part on part.attrelid = feeding.table_oid and part.attnum = feeding.number
    where sequence.seqincrement < 0 or sequence.seqmax < 9223372036854775807
       or part.atttypid in ('int2'::regtype, 'int4'::regtype)
)
select
    space.nspname::text as schema,
    relation.relname::text as name,
    sequence.seqincrement as increment,
    sequence.seqmin as least,
    sequence.seqmax as most,
    sequence.seqcycle as cycles,
    has_sequence_privilege(relation.oid, 'SELECT, USAGE') as readable,
    case when has_sequence_privilege(relation.oid, 'SELECT, USAGE')
          and not (pg_is_in_recovery() and relation.relpersistence <> 'p')
         then pg_sequence_last_value(relation.oid) end as last_value,
    fed_space.nspname::text as fed_schema,
    fed.relname::text as fed_table,
    sequence.attname::text as fed_column,
    sequence.atttypid::regtype::text as fed_type
from interesting sequence
join pg_class relation on relation.oid = sequence.seqrelid
join pg_namespace space on space.oid = relation.relnamespace
left join pg_class fed on fed.oid = sequence.table_oid
left join pg_namespace fed_space on fed_space.oid = fed.relnamespace
where relation.relpersistence <> 't'
  and space.nspname not in ('pg_catalog', 'information_schema', 'dbtune')
  and not exists (
      select from pg_locks
      where pg_locks.relation = relation.oid and pg_locks.mode = 'AccessExclusiveLock'
        and pg_locks.database = (select oid from pg_database where datname = current_database())
  )
order by space.nspname, relation.relname
