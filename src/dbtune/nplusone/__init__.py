"""N+1 from counters alone: which statement runs once for each row that another one returned."""
