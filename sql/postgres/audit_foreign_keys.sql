-- Foreign keys that no index of the referencing table supports, each with what a judgement needs.
--
-- An index supports one when it is usable, finds single values (btree, hash, gist, spgist), begins with the key's
-- columns in any order as keys (not INCLUDE, not inside an expression), knows the operator that the referential check
-- uses, has the column's collation, and holds all rows or all that are not null.
-- Constraints on a partitioned table are looked at on its partitions; those that PostgreSQL adds for the partitions
-- of the *referenced* table have a parent on the same table and are left out.
-- pg_relation_size waits for locks: it is asked only where no VACUUM or ANALYZE has looked and nobody locks the table.
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
    referencing.relpages::bigint * current_setting('block_size')::bigint + coalesce(pg_relation_size(unseen.oid), 0)
        as size_bytes,
    (pg_stat_get_tuples_deleted(referenced.oid) + pg_stat_get_tuples_updated(referenced.oid))::bigint
        as referenced_changes,
    array(select relname::text from pg_index join pg_class on pg_class.oid = indexrelid
           where indrelid = constrained.conrelid) as index_names
from pg_constraint constrained
join pg_class referencing on referencing.oid = constrained.conrelid
join pg_namespace space on space.oid = referencing.relnamespace
join pg_class referenced on referenced.oid = constrained.confrelid
join pg_namespace referenced_space on referenced_space.oid = referenced.relnamespace
left join pg_class unseen
  on unseen.oid = referencing.oid and unseen.relpages = 0
 and (unseen.reltuples < 0 or current_setting('server_version_num')::int < 140000)
 and unseen.oid not in (select relation from pg_locks where mode = 'AccessExclusiveLock' and relation is not null)
left join pg_class root
  on referencing.relispartition and root.oid = pg_partition_root(referencing.oid)
left join pg_namespace root_space on root_space.oid = root.relnamespace
where constrained.contype = 'f' and referencing.relkind = 'r'
  and space.nspname not in ('pg_catalog', 'information_schema', 'dbtune') and space.nspname not like 'pg\_temp%%'
  and not exists (
      select from pg_constraint parent
      where parent.oid = constrained.conparentid and parent.conrelid = constrained.conrelid
  )
  and not exists (
      select
      from pg_index supporting
      where supporting.indrelid = constrained.conrelid and supporting.indkey[0] = any (constrained.conkey)
        and supporting.indisvalid and supporting.indisready and supporting.indislive
        and supporting.indnkeyatts >= cardinality(constrained.conkey)
        and (supporting.indpred is null or exists (
            select from unnest(constrained.conkey) as key(number)
            where supporting.indpred::text ~ ('^\{NULLTEST :arg \{VAR :varno 1 :varattno ' || key.number || ' [^{}]*\} :nulltesttype 1 ')
        ))
        and not exists (
            select from generate_series(1, cardinality(constrained.conkey)) as place
            where not exists (
                select
                from generate_series(0, cardinality(constrained.conkey) - 1) as spot
                join pg_attribute part
                  on part.attrelid = constrained.conrelid and part.attnum = constrained.conkey[place]
                join pg_opclass class
                  on class.oid = supporting.indclass[spot]
                 and class.opcmethod = any (array(
                     select oid from pg_am where amname in ('btree', 'hash', 'gist', 'spgist')
                 ))
                join pg_operator equal on equal.oid = constrained.conpfeqop[place]
                join pg_amop member
                  on member.amopfamily = class.opcfamily and member.amoppurpose = 's'
                 and member.amopopr in (equal.oid, equal.oprcom)
                where supporting.indkey[spot] = constrained.conkey[place]
                  and supporting.indcollation[spot] in (0, part.attcollation)
            )
        )
  )
order by space.nspname, referencing.relname, constrained.conname
