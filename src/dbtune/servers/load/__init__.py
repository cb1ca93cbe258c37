"""What puts load on servers: pgbench, k6, and threads with httpx or Python flows."""
