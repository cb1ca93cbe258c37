-- Looks at every file of the database, which takes a while where there are many: only for a fingerprint.
select pg_database_size(current_database()) as size_bytes
