-- The columns of the relations in %(oids)s, with their types and those beneath domains. Virtual columns come with 18.
with recursive beneath as (
    select oid as type, oid as base, typtype, typbasetype from pg_type
     where oid in (select atttypid from pg_attribute where attrelid = any (%(oids)s::bigint[]::oid[]))
    union all
    select beneath.type, pg_type.oid, pg_type.typtype, pg_type.typbasetype
    from beneath join pg_type on pg_type.oid = beneath.typbasetype
    where beneath.typtype = 'd'
)
select
    pg_attribute.attrelid::bigint as table_oid,
    pg_attribute.attname::text as name,
    pg_attribute.attnum::int as number,
    format_type(pg_attribute.atttypid, pg_attribute.atttypmod) as type,
    pg_namespace.nspname::text as type_schema,
    pg_type.typname::text as type_name,
    base.typname::text as base,
    pg_type.typtype::text as kind,
    pg_type.typlen::int as length,
    pg_type.typalign::text as alignment,
    pg_attribute.attnotnull as not_null,
    case when pg_attribute.attcollation not in (0, pg_type.typcollation)
         then (select format('%%I.%%I', nspname, collname)
                 from pg_collation join pg_namespace space on space.oid = collnamespace
                where pg_collation.oid = pg_attribute.attcollation) end as collation,
    (select pg_extension.extname::text
       from pg_depend join pg_extension on pg_extension.oid = pg_depend.refobjid
      where pg_depend.classid = 'pg_type'::regclass and pg_depend.deptype = 'e'
        and pg_depend.refclassid = 'pg_extension'::regclass
        and pg_depend.objid in (base.oid, base.typelem) limit 1) as extension,
    case when pg_attribute.attgenerated <> '' then pg_get_expr(pg_attrdef.adbin, pg_attrdef.adrelid) end as generated,
    pg_attribute.attgenerated = 'v' as virtual
from pg_attribute
join pg_type on pg_type.oid = pg_attribute.atttypid
join pg_namespace on pg_namespace.oid = pg_type.typnamespace
join beneath on beneath.type = pg_type.oid and beneath.typtype <> 'd'
join pg_type base on base.oid = beneath.base
left join pg_attrdef on pg_attrdef.adrelid = pg_attribute.attrelid and pg_attrdef.adnum = pg_attribute.attnum
where pg_attribute.attrelid = any (%(oids)s::bigint[]::oid[]) and pg_attribute.attnum > 0 and not pg_attribute.attisdropped
order by pg_attribute.attrelid, pg_attribute.attnum
