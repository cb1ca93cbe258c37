"""Redis and Valkey: connections and performed actions."""
