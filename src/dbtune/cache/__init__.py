"""The cache: what to write under which key, for how long, and what makes it stale."""
