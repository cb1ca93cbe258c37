"""The only importers of database drivers. Each package translates its driver's errors into dbtune's own."""
