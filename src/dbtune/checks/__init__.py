"""Checks, one module each. A module here that defines a `CHECK` is found by itself."""
