"""What the bearer of a token may do: their role's permissions and those of the roles above it."""

from __future__ import annotations

from dataclasses import dataclass

from dbtune.demo.backend import Backend
from dbtune.demo.database import Document

_IS_REVOKED = "select 1 as revoked from token_blacklist where token_hash = %s"

_USER = """
select id, role_id from users where lower(email) = lower(%s) and deleted_at is null and status = 'active'"""

_PERMISSIONS = """
with recursive inherited (role_id) as (
  select role_id from users where lower(email) = lower(%s) and deleted_at is null and status = 'active'
  union
  select r.parent_id from inherited join roles r on r.id = inherited.role_id where r.parent_id is not null)
select array(select distinct p.resource || ':' || p.action
             from inherited join role_permissions p on p.role_id = inherited.role_id order by 1) as permissions"""


@dataclass(frozen=True, slots=True)
class Bearer:
    """What a token says: whose it is, and its own hash."""

    email: str
    token_hash: str


def permissions_slowly(backend: Backend, bearer: Bearer) -> Document | None:
    """Climbs the roles one by one; None when the token was revoked."""
    if backend.database.row(_IS_REVOKED, bearer.token_hash):
        return None
    granted: set[str] = set()
    user = backend.database.row(_USER, bearer.email)
    role_id = user and user["role_id"]
    while role_id:
        found = backend.database.rows("select resource, action from role_permissions where role_id = %s", role_id)
        granted.update(f"{permission['resource']}:{permission['action']}" for permission in found)
        role = backend.database.row("select parent_id from roles where id = %s", role_id)
        role_id = role and role["parent_id"]
    return {"email": bearer.email.lower(), "permissions": sorted(granted)}


def permissions(backend: Backend, bearer: Bearer) -> Document | None:
    """Whether a token was revoked is asked of the database each time; only the permissions are cached."""
    if backend.database.row(_IS_REVOKED, bearer.token_hash):
        return None
    email = bearer.email.lower()

    def load() -> Document:
        granted = backend.database.rows(_PERMISSIONS, email)[0]["permissions"]
        # The database's collation is not Python's.
        return {"email": email, "permissions": sorted(granted)}

    return backend.cache.aside(f"auth:user:{email}:permissions", load)
