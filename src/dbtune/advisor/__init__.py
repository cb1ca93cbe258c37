"""Which indexes a workload should have: statements and statistics in, recommendations out."""
