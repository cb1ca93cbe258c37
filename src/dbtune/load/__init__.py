"""Load in stages, thresholds, and what the engines reported."""
