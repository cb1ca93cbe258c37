"""Step kinds, one module each. A module here that defines a `Step` with a `kind` is found by itself."""
