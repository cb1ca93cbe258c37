-- Hides an index from the planner, or shows it again: only ever sent to servers that may be thrown away.
update pg_index set indisvalid = %(valid)s
where indexrelid = %(index)s::bigint::oid and indisvalid <> %(valid)s
returning indexrelid::bigint as index
