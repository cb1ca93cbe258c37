"""Plans as EXPLAIN prints them: the tree, and what it tells. Pure."""
