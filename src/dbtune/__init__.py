"""dbtune tunes PostgreSQL and Redis from playbooks, and proves that it helped."""

__version__ = "0.1.0"
