"""Finished reports in every form that people and machines read. Never fetches."""
