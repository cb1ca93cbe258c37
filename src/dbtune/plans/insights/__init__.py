"""Insights, in sensible groups. A module here that defines `RULES` is found by itself."""
