-- Foreign keys that no index of the referencing table supports, each with what a judgement needs.
--
-- An index supports one when it is usable, finds single values (btree, hash, gist, spgist), begins with the key's
-- columns in any order as keys (not INCLUDE, not inside an expression), knows the operator that the referential check
-- uses, has the column's collation, and holds all rows or all that are not null. That is asked of all keys at once,
-- one join for each question: there may be tens of thousands.
-- Constraints on a partitioned table are looked at on its partitions; those that PostgreSQL adds for the partitions
-- of the *referenced* table have a parent on the same table and are left out.
-- pg_relation_size waits for locks: it is asked only where no VACUUM or ANALYZE has looked, somebody has touched the
-- table since the statistics began, and nobody locks it.
with keys as materialized (
    select constrained.oid, constrained.conrelid, constrained.conkey, constrained.conpfeqop,
        cardinality(constrained.conkey) as length
    from pg_constraint constrained
    join pg_class referencing on referencing.oid = constrained.conrelid
    where constrained.contype = 'f' and referencing.relkind = 'r'
      and referencing.relnamespace not in (
          select oid from pg_namespace
          where nspname in ('pg_catalog', 'information_schema', 'dbtune') or nspname like 'pg\_temp%%'
      )
      and not exists (
          select from pg_constraint parent
          where constrained.conparentid <> 0
            and parent.oid = constrained.conparentid and parent.conrelid = constrained.conrelid
      )
), equalities as materialized (
    -- The operator classes that know an operator which a foreign key uses, in either direction.
    select class.oid as class, equal.oid as operator
    from (select distinct unnest(conpfeqop) as oid from keys) used
    join pg_operator equal on equal.oid = used.oid
    cross join lateral (select equal.oid union select equal.oprcom) known (operator)
    join pg_amop member on member.amopopr = known.operator and member.amoppurpose = 's'
    join pg_opclass class on class.opcfamily = member.amopfamily
    join pg_am method on method.oid = class.opcmethod and method.amname in ('btree', 'hash', 'gist', 'spgist')
    group by class.oid, equal.oid
), plain as materialized (
    -- Nearly all of them: one column, and an index over all rows whose column has no collation.
    select keys.oid, keys.conpfeqop[1] as operator, supporting.indclass[0] as class
    from keys
    join pg_index supporting on supporting.indrelid = keys.conrelid and supporting.indkey[0] = keys.conkey[1]
    where keys.length = 1 and supporting.indpred is null and supporting.indcollation[0] = 0
      and supporting.indisvalid and supporting.indisready and supporting.indislive
), others as materialized (
    select * from keys where oid not in (select oid from plain join equalities using (class, operator))
), parts as (
    -- Each column of a key beside the same column of an index that could support it.
    select keys.oid, keys.length, supporting.indexrelid, place
    from others keys
    join pg_index supporting
      on supporting.indrelid = keys.conrelid and supporting.indkey[0] = any (keys.conkey)
     and supporting.indnkeyatts >= keys.length
     and supporting.indisvalid and supporting.indisready and supporting.indislive
    cross join lateral generate_series(1, keys.length) as place
    cross join lateral generate_series(0, keys.length - 1) as spot
    join equalities
      on equalities.class = supporting.indclass[spot] and equalities.operator = keys.conpfeqop[place]
    where supporting.indkey[spot] = keys.conkey[place]
      and (supporting.indcollation[spot] = 0 or supporting.indcollation[spot] = (
          select attcollation from pg_attribute where attrelid = keys.conrelid and attnum = keys.conkey[place]
      ))
      and (supporting.indpred is null or exists (
          select from unnest(keys.conkey) as key(number)
          where supporting.indpred::text ~ ('^\{NULLTEST :arg \{VAR :varno 1 :varattno ' || key.number || ' [^{}]*\} :nulltesttype 1 ')
      ))
), unsupported as materialized (
    select oid from others
    except
    select oid from parts group by oid, indexrelid, length having count(distinct place) = length
), index_names as materialized (
    select indrelid, array_agg(relname::text) as names
    from pg_index
    join pg_class on pg_class.oid = indexrelid
    where indrelid in (select conrelid from others where oid in (select oid from unsupported))
    group by indrelid
)
select
    constrained.conname::text as name,
    space.nspname::text as schema,
    referencing.relname::text as table,
    array(select attname::text from unnest(constrained.conkey) with ordinality as key(number, place)
            join pg_attribute on attrelid = constrained.conrelid and attnum = key.number order by key.place) as columns,
    referenced_space.nspname::text as referenced_schema,
    referenced.relname::text as referenced_table,
    root_space.nspname::text as root_schema,
    root.relname::text as root_table,
    greatest(referencing.reltuples, pg_stat_get_live_tuples(referencing.oid), 0)::bigint as rows,
    referencing.relpages::bigint * current_setting('block_size')::bigint + coalesce(
        case when referencing.relpages = 0 and pg_stat_get_blocks_fetched(referencing.oid) > 0
              and (referencing.reltuples < 0 or current_setting('server_version_num')::int < 140000)
              and referencing.oid not in (
                  select relation from pg_locks where mode = 'AccessExclusiveLock' and relation is not null
              )
             then pg_relation_size(referencing.oid) end, 0
    ) as size_bytes,
    (pg_stat_get_tuples_deleted(referenced.oid) + pg_stat_get_tuples_updated(referenced.oid))::bigint
        as referenced_changes,
    coalesce(index_names.names, '{}') as index_names
from unsupported
join pg_constraint constrained on constrained.oid = unsupported.oid
join pg_class referencing on referencing.oid = constrained.conrelid
join pg_namespace space on space.oid = referencing.relnamespace
join pg_class referenced on referenced.oid = constrained.confrelid
join pg_namespace referenced_space on referenced_space.oid = referenced.relnamespace
left join index_names on index_names.indrelid = constrained.conrelid
left join pg_class root
  on referencing.relispartition and root.oid = pg_partition_root(referencing.oid)
left join pg_namespace root_space on root_space.oid = root.relnamespace
order by space.nspname, referencing.relname, constrained.conname
