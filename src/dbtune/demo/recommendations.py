"""What to show a user next: the best contents of the categories that interest them, without those already seen."""

from __future__ import annotations

from dbtune.demo.backend import Backend
from dbtune.demo.contents import tags_of
from dbtune.demo.database import Database, Document

_CANDIDATES = """
select c.id, c.title, c.engagement_score::float8 as engagement_score
from (select category_id from user_interests where user_id = %s order by weight desc limit 2) interest
cross join lateral (
  select id, title, engagement_score from contents
  where category_id = interest.category_id and status = 'published' and deleted_at is null
    and not exists (select from user_interactions seen where seen.user_id = %s and seen.content_id = contents.id)
  order by engagement_score desc, id limit 10) c
order by c.engagement_score desc, c.id limit 10"""

_WITH_TAGS = f"""
select best.*, array(select t.name from content_tags ct join tags t on t.id = ct.tag_id
                     where ct.content_id = best.id order by t.name) as tags
from ({_CANDIDATES}) best order by best.engagement_score desc, best.id"""


def recommendations_slowly(backend: Backend, user_id: int) -> Document:
    """One statement for the contents, and one for the tags of each of them."""
    items = [{**item, "tags": tags_of(backend.database, item["id"])} for item in candidates(backend.database, user_id)]
    return {"user_id": user_id, "items": items}


def recommendations(backend: Backend, user_id: int) -> Document:
    """One statement, and none when the cache has the feed."""

    def load() -> Document:
        return {"user_id": user_id, "items": backend.database.rows(_WITH_TAGS, user_id, user_id)}

    return backend.cache.aside(f"rec:user:{user_id}:feed", load) or load()


def candidates(database: Database, user_id: int) -> list[Document]:
    """The recommendation query by itself."""
    return database.rows(_CANDIDATES, user_id, user_id)
