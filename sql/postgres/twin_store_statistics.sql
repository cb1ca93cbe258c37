-- Puts rows of pg_stats (%(statistics)s, as JSON) where ANALYZE puts what it found, for relations of %(owner)s.
-- 13 to 17 have no function for that. catalog/pg_statistic.h says what each kind of slot holds. A superuser does this:
-- no value is read as a type that came with a dump, but as what lies beneath it, else a domain's checks would run.
-- Returns the numbers of those that could not be taken whole, each with the reason.
with recursive given as (
    select stats.*, pg_class.oid as relation_oid, attnum, attcollation, atttypid
    from jsonb_to_recordset(%(statistics)s::jsonb) as stats(
        number int, schema text, relation text, "column" text, inherited boolean,
        null_frac real, avg_width int, n_distinct real, correlation real,
        most_common_vals text, most_common_freqs real[], histogram_bounds text,
        most_common_elems text, most_common_elem_freqs real[], elem_count_histogram real[],
        range_length_histogram text, range_empty_frac real, range_bounds_histogram text)
    join pg_namespace on nspname = stats.schema
    join pg_class on relnamespace = pg_namespace.oid and relname = stats.relation
    join pg_attribute on attrelid = pg_class.oid and attname = stats."column" and attnum > 0
    where relowner = (select oid from pg_roles where rolname = %(owner)s)
), beneath(oid, base) as (
    -- From a domain to its base, from an array of domains to the array of their base.
    select distinct atttypid, atttypid from given
    union
    select beneath.oid, case when one.typtype = 'd' then one.typbasetype else plain.typarray end
    from beneath
    join pg_type as one on one.oid = base
    left join pg_type as element on element.oid = one.typelem and one.typcategory = 'A' and element.typtype = 'd'
    left join pg_type as plain on plain.oid = element.typbasetype
    where one.typtype = 'd' or plain.oid is not null
), types as (
    select
        beneath.oid as declared,
        base.oid as type,
        case when base.typcategory = 'A' then base.typelem
             when base.oid = 'pg_catalog.tsvector'::regtype then 'pg_catalog.text'::regtype end as element,
        rngtypid as ranges,
        -- Composite types, and ranges over a domain, are read with the checks of what they are made of.
        coalesce('c' not in (base.typtype, coalesce(element.typtype, 'b')) and coalesce(sub.typtype, 'b') = 'b', false)
            as is_readable
    from beneath
    join pg_type as base on base.oid = beneath.base
    left join pg_type as element on element.oid = base.typelem and base.typcategory = 'A'
    -- Multiranges are from 14 on.
    left join pg_range on rngtypid in (base.oid, element.oid)
        or (to_jsonb(pg_range) ->> 'rngmultitypid')::oid in (base.oid, element.oid)
    left join pg_type as sub on sub.oid = rngsubtype
    where base.typtype <> 'd' and coalesce(element.typtype, 'b') <> 'd'
), operators as (
    -- Those of the default B-tree class of each type, as the type cache has them.
    select distinct on (wanted.type) wanted.type, same.amopopr as same, less.amopopr as less
    from (select type from types union select element from types
          union select 'pg_catalog.float8'::regtype) as wanted(type)
    join pg_type on pg_type.oid = wanted.type
    join pg_opclass on opcmethod = (select oid from pg_am where amname = 'btree') and opcdefault
    join pg_type as accepted on accepted.oid = opcintype
    join pg_amop as less on less.amopfamily = opcfamily and less.amopstrategy = 1
        and (less.amoplefttype, less.amoprighttype) = (opcintype, opcintype)
    join pg_amop as same on same.amopfamily = opcfamily and same.amopstrategy = 3
        and (same.amoplefttype, same.amoprighttype) = (opcintype, opcintype)
    where opcintype = wanted.type
        or accepted.typname = case
            when pg_type.typcategory = 'A' then 'anyarray' when pg_type.typtype = 'e' then 'anyenum'
            when pg_type.typtype = 'r' then 'anyrange' when pg_type.typtype = 'm' then 'anymultirange' end
        or exists (select from pg_cast where castsource = wanted.type and casttarget = opcintype
                       and castmethod = 'b' and castcontext = 'i')
    order by wanted.type, opcintype = wanted.type desc, accepted.typtype = 'p' desc, accepted.typispreferred desc
), wishes as (
    select given.number, is_readable, slot.*
    from given
    join types on declared = atttypid
    left join operators as whole on whole.type = types.type
    left join operators as part on part.type = types.element
    cross join lateral (values
        (1, whole.same, attcollation, most_common_freqs, most_common_vals, types.type),
        (2, whole.less, attcollation, null, histogram_bounds, types.type),
        (3, whole.less, attcollation, array[correlation], null, null),
        -- A text search vector's lexemes are texts of the default collation.
        (4, part.same, case when types.type = 'pg_catalog.tsvector'::regtype then 100 else attcollation end,
            most_common_elem_freqs, most_common_elems, types.element),
        (5, part.same, attcollation, elem_count_histogram, null, null),
        (6, (select less from operators where type = 'pg_catalog.float8'::regtype), 0,
            array[coalesce(range_empty_frac, 0)], range_length_histogram, 'pg_catalog.float8'::regtype),
        (7, 0, 0, null, range_bounds_histogram, ranges)
    ) as slot(kind, operator, collation_number, numbers, texts, element)
    where (texts is not null or kind in (3, 5)) and (numbers[1] is not null or kind in (2, 7))
), slots as (
    select wishes.*, row_number() over (partition by number order by kind) as place
    from wishes
    cross join lateral (select array_in(textout(texts), wishes.element, -1) as items offset 0) as read
    where operator is not null and (texts is null or is_readable and array_ndims(items) = 1
        and (kind <> 1 or cardinality(items) = cardinality(numbers))
        -- The planner takes no null among them.
        and (texts not like '%%NULL%%' or array_to_string(items, ',') = array_to_string(items, ',', 'NULL')))
), rows as (
    select number,
        array_agg(kind order by place) as kinds, array_agg(operator order by place) as operators,
        array_agg(collation_number order by place) as collations, array_agg(numbers::text order by place) as numbers,
        array_agg(texts order by place) as texts, array_agg(slots.element order by place) as elements
    from slots where place <= 5 group by number
), stored as (
    insert into pg_statistic
    select relation_oid, attnum, inherited, null_frac, avg_width, n_distinct,
        coalesce(kinds[1], 0), coalesce(kinds[2], 0), coalesce(kinds[3], 0), coalesce(kinds[4], 0),
        coalesce(kinds[5], 0),
        coalesce(operators[1], 0), coalesce(operators[2], 0), coalesce(operators[3], 0), coalesce(operators[4], 0),
        coalesce(operators[5], 0),
        coalesce(collations[1], 0), coalesce(collations[2], 0), coalesce(collations[3], 0),
        coalesce(collations[4], 0), coalesce(collations[5], 0),
        numbers[1]::real[], numbers[2]::real[], numbers[3]::real[], numbers[4]::real[], numbers[5]::real[],
        array_in(textout(texts[1]), elements[1], -1), array_in(textout(texts[2]), elements[2], -1),
        array_in(textout(texts[3]), elements[3], -1), array_in(textout(texts[4]), elements[4], -1),
        array_in(textout(texts[5]), elements[5], -1)
    from given left join rows using (number)
)
select number, case when bool_or(not is_readable) then 'values of composite types, and of ranges over domains, are not'
    ' read' else 'values and their shares do not fit together, or the type has no order' end as reason
from wishes
where (number, kind) not in (select number, kind from slots where place <= 5)
group by number
