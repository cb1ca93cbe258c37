# mypy: disable-error-code="misc,arg-type,no-any-return,attr-defined,no-untyped-call"
"""The shop on SQLAlchemy: its identity map asks once for each distinct key, and every request is a transaction."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import sqlalchemy as sa
from psycopg import conninfo
from sqlalchemy import orm

EXPECTED: dict[str, tuple[str, ...]] = {
    "bad_author": (r"FROM users\s+WHERE users.id = ",),
    "bad_author_profile": (r"FROM users\s+WHERE users.id = ", r"FROM profiles\s+WHERE .*profiles.user_id"),
    "bad_tags": (r"FROM tags, post_tags\s+WHERE",),
    "bad_comments": (r"FROM comments\s+WHERE .* = comments.post_id",),
    "bad_reviewer": (r"FROM users\s+WHERE users.id = ",),
    "bad_comment_count": (r"count\(.*FROM comments\s+WHERE comments.post_id = ",),
    "bad_orders": (r"FROM order_items\s+WHERE .* = order_items.order_id", r"FROM products\s+WHERE products.id = "),
    "bad_stock": (r"^UPDATE products",),
    "bad_refresh": (r"FROM posts\s+WHERE posts.id = ",),
    "bad_tree_down": (r"FROM categories\s+WHERE .* = categories.parent_id",),
}
"""Endpoint: what the texts of the statements that it repeats look like."""


ENGINES: list[sa.Engine] = []
KEPT: list[type] = []


def close() -> None:
    for engine in ENGINES:
        engine.dispose()


def prepare(dsn: str) -> dict[str, Callable[[Random], Any]]:  # noqa: C901, PLR0915 - a list of small functions
    """Each endpoint is one request: one session, one transaction."""
    values = conninfo.conninfo_to_dict(dsn)
    engine = sa.create_engine("postgresql+psycopg://", connect_args=values)
    ENGINES.append(engine)
    base: Any = orm.declarative_base()
    pk = lambda: sa.Column(sa.Integer, primary_key=True)  # noqa: E731
    link = lambda to, **more: sa.Column(sa.Integer, sa.ForeignKey(to), **more)  # noqa: E731

    post_tags = sa.Table(
        "post_tags",
        base.metadata,
        sa.Column("post_id", sa.ForeignKey("posts.id")),
        sa.Column("tag_id", sa.ForeignKey("tags.id")),
    )

    class User(base):
        __tablename__ = "users"
        id, name, email = pk(), sa.Column(sa.Text), sa.Column(sa.Text)
        profile = orm.relationship("Profile", uselist=False)

    class Profile(base):
        __tablename__ = "profiles"
        user_id, bio = sa.Column(sa.Integer, sa.ForeignKey("users.id"), primary_key=True), sa.Column(sa.Text)

    class Session(base):
        __tablename__ = "sessions"
        key, user_id = sa.Column(sa.Text, primary_key=True), link("users.id")
        user = orm.relationship("User")

    class Category(base):
        __tablename__ = "categories"
        id, parent_id, name = pk(), link("categories.id"), sa.Column(sa.Text)
        children = orm.relationship("Category")

    class Tag(base):
        __tablename__ = "tags"
        id, name = pk(), sa.Column(sa.Text)

    class Comment(base):
        __tablename__ = "comments"
        id, post_id, author_id, body = pk(), link("posts.id"), link("users.id"), sa.Column(sa.Text)

    class Post(base):
        __tablename__ = "posts"
        id, title = pk(), sa.Column(sa.Text)
        author_id, category_id, reviewer_id = link("users.id"), link("categories.id"), link("users.id")
        author = orm.relationship("User", foreign_keys=[author_id])
        reviewer = orm.relationship("User", foreign_keys=[reviewer_id])
        category = orm.relationship("Category")
        tags = orm.relationship("Tag", secondary=post_tags)
        comments = orm.relationship("Comment")

    class Product(base):
        __tablename__ = "products"
        id, sku, stock = pk(), sa.Column(sa.Text), sa.Column(sa.Integer)

    class Order(base):
        __tablename__ = "orders"
        id, user_id, note = pk(), link("users.id"), sa.Column(sa.Text)
        items = orm.relationship("Item")

    class Item(base):
        __tablename__ = "order_items"
        id, order_id, product_id, quantity = pk(), link("orders.id"), link("products.id"), sa.Column(sa.Integer)
        product = orm.relationship("Product")

    def request(work: Callable[[Any, Random], Any]) -> Callable[[Random], Any]:
        def run(draw: Random) -> None:
            with orm.Session(engine) as session:
                work(session, draw)
                session.commit()

        return run

    def feed(session: Any, draw: Random, by: Any, *options: Any) -> Any:
        """Each page has an order of its own; a fixed page has that of its bad twin."""
        query = sa.select(Post).where(Post.id >= draw.randint(1, 1300)).order_by(by, Post.id).limit(draw.randint(8, 40))
        return session.scalars(query.options(*options)).all()

    def stock(session: Any, draw: Random) -> None:
        query = (
            sa.select(Product).where(Product.id >= draw.randint(1, 450)).order_by(Product.id).limit(draw.randint(8, 40))
        )
        for product in session.scalars(query):
            product.stock += draw.randint(1, 3)
            session.flush()

    def refresh(session: Any, draw: Random) -> None:
        for post in feed(session, draw, Post.category_id.desc()):
            _ = post.title
            session.commit()

    def descend(node: Any) -> int:
        return 1 + sum(descend(child) for child in node.children)

    def orders(session: Any, draw: Random, *options: Any) -> list[str]:
        query = sa.select(Order).where(Order.id >= draw.randint(1, 2400)).order_by(Order.id).limit(draw.randint(6, 20))
        return [item.product.sku for order in session.scalars(query.options(*options)) for item in order.items]

    def counts(session: Any, draw: Random) -> None:
        count = sa.func.count()
        for post in feed(session, draw, Post.category_id):
            session.scalar(sa.select(count).select_from(Comment).where(Comment.post_id == post.id))

    def register(session: Any, draw: Random) -> None:
        email = f"{draw.getrandbits(64)}@example.org"
        if not session.scalar(sa.select(sa.exists().where(User.email == email))):
            session.add(User(email=email, name="new"))

    def checkout(session: Any, draw: Random) -> None:
        lines = [Item(product_id=draw.randint(1, 500), quantity=1) for _ in range(draw.randint(6, 16))]
        session.add(Order(user_id=draw.randint(1, 400), note="new", items=lines))

    def post_page(session: Any, draw: Random) -> None:
        post = session.get(Post, draw.randint(1, 1500))
        _ = post.author.name, post.category.name, list(post.comments), list(post.tags)

    def worker(session: Any, draw: Random) -> None:
        taken = "SELECT id, user_id FROM jobs WHERE status = 'waiting' LIMIT 1 FOR UPDATE SKIP LOCKED"
        job = session.execute(sa.text(taken)).one()
        session.get(User, job.user_id)
        session.execute(sa.text("UPDATE jobs SET status = 'done' WHERE id = :id"), {"id": job.id})

    # The registry refers to classes weakly, and nothing else does to those that no endpoint names.
    KEPT.extend(mapper.class_ for mapper in base.registry.mappers)
    both = orm.selectinload
    work: dict[str, Callable[[Any, Random], Any]] = {
        "bad_author": lambda session, draw: [post.author.name for post in feed(session, draw, Post.title)],
        "bad_author_profile": lambda session, draw: [
            post.author.profile.bio for post in feed(session, draw, Post.title.desc()) if post.author.profile
        ],
        "bad_tags": lambda session, draw: [list(post.tags) for post in feed(session, draw, Post.id)],
        "bad_comments": lambda session, draw: [list(post.comments) for post in feed(session, draw, Post.id.desc())],
        "bad_reviewer": lambda session, draw: [
            post.reviewer for post in feed(session, draw, sa.func.length(Post.title))
        ],
        "bad_comment_count": counts,
        "bad_orders": orders,
        "bad_stock": stock,
        "bad_refresh": refresh,
        "bad_tree_down": lambda session, draw: [
            descend(root) for root in session.scalars(sa.select(Category).where(Category.id == draw.randint(1, 5)))
        ],
        "good_author": lambda session, draw: [
            post.author.name for post in feed(session, draw, Post.title, orm.joinedload(Post.author))
        ],
        "good_author_in": lambda session, draw: [
            post.author.name for post in feed(session, draw, Post.title, both(Post.author))
        ],
        "good_tags": lambda session, draw: [list(post.tags) for post in feed(session, draw, Post.id, both(Post.tags))],
        "good_comments": lambda session, draw: [
            list(post.comments) for post in feed(session, draw, Post.id.desc(), both(Post.comments))
        ],
        "good_orders": lambda session, draw: orders(session, draw, both(Order.items).joinedload(Item.product)),
        "good_stock": lambda session, draw: session.execute(
            sa.update(Product).where(Product.id < draw.randint(1, 50)).values(stock=Product.stock + 1)
        ),
        "good_checkout": checkout,
        "like_auth": lambda session, draw: session.get(Session, f"key{draw.randint(1, 400)}").user.name,
        "like_poller": lambda session, draw: session.execute(
            sa.text("SELECT value FROM settings WHERE name = 'setting3'")
        ).all(),
        "like_worker": worker,
        "like_cache_miss": lambda session, draw: [
            session.get(Product, draw.randint(1, 500)) for _ in range(draw.randint(0, 3))
        ],
        "like_register": register,
        "like_post_page": post_page,
        "like_user_page": lambda session, draw: [
            session.get(User, draw.randint(1, 400)),
            session.scalars(sa.select(Post).where(Post.author_id == draw.randint(1, 400))).all(),
        ],
        "like_plain_feed": lambda session, draw: session.scalars(
            sa.select(Post).order_by(Post.title, Post.id).limit(draw.randint(8, 40))
        ).all(),
        "like_category": lambda session, draw: session.scalars(
            sa.select(Category)
            .where(Category.parent_id == session.get(Category, draw.randint(1, 120)).id)
            .order_by(Category.name)
        ).all(),
    }
    return {name: request(one) for name, one in work.items()}
