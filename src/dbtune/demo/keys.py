"""Primary and foreign keys of the sample: all the structure that its tables have as found.

Every table has a surrogate key `id`. A foreign key gets no index from PostgreSQL, and nobody gave it one: that is
the flaw which the playbooks cure.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """`table.column` names a row of `parent` by its id."""

    table: str
    column: str
    parent: str

    @property
    def name(self) -> str:
        return f"{self.table}_{self.column}_fkey"


_PARENTS = {
    "roles": {"parent_id": "roles"},
    "role_permissions": {"role_id": "roles"},
    "users": {"role_id": "roles"},
    "token_blacklist": {"user_id": "users"},
    "categories": {"parent_id": "categories"},
    "tags": {},
    "contents": {"parent_id": "contents", "category_id": "categories", "author_id": "users"},
    "content_tags": {"content_id": "contents", "tag_id": "tags"},
    "user_interests": {"user_id": "users", "category_id": "categories"},
    "user_interactions": {"user_id": "users", "content_id": "contents"},
    "subscriptions": {"user_id": "users"},
    "invoices": {"user_id": "users", "subscription_id": "subscriptions"},
    "products": {"category_id": "categories"},
    "orders": {"user_id": "users"},
    "order_items": {"order_id": "orders", "product_id": "products"},
    "bookings": {"user_id": "users", "product_id": "products"},
    "payments": {"user_id": "users", "invoice_id": "invoices", "order_id": "orders"},
    "videos": {"content_id": "contents"},
    "transcoding_jobs": {"video_id": "videos"},
    "content_tracking": {"user_id": "users", "content_id": "contents"},
    "content_tracking_details": {"tracking_id": "content_tracking"},
}

TABLES = tuple(_PARENTS)
FOREIGN_KEYS = tuple(
    ForeignKey(table, column, parent) for table, columns in _PARENTS.items() for column, parent in columns.items()
)
