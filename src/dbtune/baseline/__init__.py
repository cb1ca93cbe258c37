"""Measurements: what was captured, how two captures are subtracted and judged. Pure."""
