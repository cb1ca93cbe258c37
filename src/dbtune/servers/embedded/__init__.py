"""Private PostgreSQL and Valkey servers that live as long as their process."""
