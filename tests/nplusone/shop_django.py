# ruff: noqa: DJ008 - nobody prints these models
# mypy: disable-error-code="misc,assignment,no-any-return,untyped-decorator,import-untyped"
"""The shop on Django: endpoints with an N+1, their fixed twins, and what only looks like one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import django
from django.conf import settings
from psycopg import conninfo

EXPECTED: dict[str, tuple[str, ...]] = {
    "bad_author": (r'FROM "users" WHERE "users"."id" = ',),
    "bad_author_profile": (r'FROM "users" WHERE "users"."id" = ', r'FROM "profiles" WHERE "profiles"."user_id" = '),
    "bad_tags": (r'FROM "tags" INNER JOIN "post_tags"',),
    "bad_comment_count": (r'COUNT\(\*\) .* FROM "comments" WHERE "comments"."post_id" = ',),
    "bad_newest_comment": (r'FROM "comments" WHERE "comments"."post_id" = .* DESC LIMIT',),
    "bad_comment_authors": (r'FROM "users" WHERE "users"."id" = ',),
    "bad_reviewer": (r'FROM "users" WHERE "users"."id" = ',),
    "bad_liked": (r'FROM "likes" WHERE .*"likes"."post_id" = ',),
    "bad_orders": (
        r'FROM "order_items" WHERE "order_items"."order_id" = ',
        r'FROM "products" WHERE "products"."id" = ',
    ),
    "bad_stock": (r'^UPDATE "products"',),
    "bad_checkout": (r'^INSERT INTO "order_items"',),
    "bad_tree_down": (r'FROM "categories" WHERE "categories"."parent_id" = ',),
    "bad_tree_up": (r'FROM "categories" WHERE "categories"."id" = ',),
}
"""Endpoint: what the texts of the statements that it repeats look like."""


def prepare(dsn: str) -> dict[str, Callable[[Random], Any]]:
    """Configures Django for this database, once in a process. Each endpoint is one request."""
    values = conninfo.conninfo_to_dict(dsn)
    # Reverse relations are found for installed applications only, and an application is a package.
    sys.modules["shop"] = package = ModuleType("shop")
    package.__path__ = [str(Path(__file__).parent)]
    settings.configure(
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": values["dbname"],
                "USER": values.get("user", ""),
                "PASSWORD": values.get("password", ""),
                "HOST": values.get("host", ""),
                "PORT": str(values.get("port", "")),
            }
        },
        INSTALLED_APPS=["shop"],
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        USE_TZ=True,
    )
    django.setup()
    return endpoints()


def endpoints() -> dict[str, Callable[[Random], Any]]:  # noqa: C901, PLR0915 - a list of small functions
    from django.db import connection, models, transaction

    def link(to: str, *, null: bool = False, name: str = "+", **more: Any) -> Any:
        return models.ForeignKey(to, models.DO_NOTHING, null=null, related_name=name, **more)

    class Base(models.Model):
        class Meta:
            abstract = True
            app_label = "shop"
            managed = False

    def table(name: str) -> type:
        return type("Meta", (Base.Meta,), {"db_table": name, "abstract": False})

    class Org(Base):
        name = models.TextField()
        Meta = table("orgs")

    class User(Base):
        email = models.TextField(unique=True)
        name = models.TextField()
        org = link("shop.Org", null=True)
        manager = link("shop.User", null=True)
        Meta = table("users")

    class Profile(Base):
        user = models.OneToOneField("shop.User", models.DO_NOTHING, primary_key=True, related_name="profile")
        bio = models.TextField()
        Meta = table("profiles")

    class Session(Base):
        key = models.TextField(primary_key=True)
        user = link("shop.User")
        Meta = table("sessions")

    class Setting(Base):
        name = models.TextField(primary_key=True)
        value = models.TextField()
        Meta = table("settings")

    class Category(Base):
        parent = link("shop.Category", null=True, name="children")
        name = models.TextField()
        Meta = table("categories")

    class Tag(Base):
        name = models.TextField()
        Meta = table("tags")

    class Post(Base):
        author = link("shop.User", name="posts")
        category = link("shop.Category")
        reviewer = link("shop.User", null=True)
        title = models.TextField()
        tags = models.ManyToManyField("shop.Tag", through="shop.PostTag")
        Meta = table("posts")

    class PostTag(Base):
        post = link("shop.Post")
        tag = link("shop.Tag")
        Meta = table("post_tags")

    class Comment(Base):
        post = link("shop.Post", name="comments")
        author = link("shop.User")
        body = models.TextField()
        Meta = table("comments")

    class Like(Base):
        post = link("shop.Post", name="likes")
        user = link("shop.User")
        Meta = table("likes")

    class Product(Base):
        sku = models.TextField(unique=True)
        category = link("shop.Category")
        stock = models.IntegerField()
        Meta = table("products")

    class Order(Base):
        user = link("shop.User", name="orders")
        note = models.TextField()
        Meta = table("orders")

    class Item(Base):
        order = link("shop.Order", name="items")
        product = link("shop.Product")
        quantity = models.IntegerField()
        Meta = table("order_items")

    def feed(draw: Random, by: str, of: Any = None) -> Any:
        """Each page has an order of its own; a fixed page has that of its bad twin."""
        start = draw.randint(1, 1300)
        return (Post.objects if of is None else of).filter(id__gte=start).order_by(by, "id")[: draw.randint(8, 40)]

    def plain(draw: Random) -> Any:
        return Post.objects.filter(id__lte=draw.randint(100, 1500)).order_by("title", "id")[: draw.randint(8, 40)]

    def titles(draw: Random) -> Any:
        start = draw.randint(1, 1300)
        return Post.objects.filter(id__gt=start).order_by("-id")[: draw.randint(8, 40)]

    def checkout(draw: Random) -> None:
        with transaction.atomic():
            order = Order.objects.create(user_id=draw.randint(1, 400), note="new")
            for _ in range(draw.randint(6, 16)):
                Item.objects.create(order=order, product_id=draw.randint(1, 500), quantity=1)

    def good_checkout(draw: Random) -> None:
        with transaction.atomic():
            order = Order.objects.create(user_id=draw.randint(1, 400), note="new")
            lines = range(draw.randint(6, 16))
            Item.objects.bulk_create([Item(order=order, product_id=draw.randint(1, 500), quantity=1) for _ in lines])

    def stock(draw: Random) -> None:
        low = draw.randint(1, 450)
        for product in Product.objects.filter(id__gte=low).order_by("id")[: draw.randint(8, 40)]:
            product.stock += 1
            product.save(update_fields=["stock"])

    def descend(node: Any) -> int:
        return 1 + sum(descend(child) for child in node.children.all())

    def tree_up(draw: Random) -> None:
        node = Product.objects.get(sku=f"sku{draw.randint(1, 500)}").category
        while node is not None:
            node = node.parent

    def worker(draw: Random) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT id, user_id FROM jobs WHERE status = 'waiting' LIMIT 1 FOR UPDATE SKIP LOCKED")
            job = cursor.fetchone()
            User.objects.get(pk=job[1])
            cursor.execute("UPDATE jobs SET status = 'done' WHERE id = %s", (job[0],))

    def register(draw: Random) -> None:
        email = f"{draw.getrandbits(64)}@example.org"
        if not User.objects.filter(email=email).exists():
            User.objects.create(email=email, name="new")

    def like(draw: Random) -> None:
        post, user = draw.randint(1, 1500), draw.randint(1, 400)
        if not Like.objects.filter(post_id=post, user_id=user).exists():
            Like.objects.create(post_id=post, user_id=user)

    def post_page(draw: Random) -> None:
        post = Post.objects.get(pk=draw.randint(1, 1500))
        _ = post.author.name, post.category.name, list(post.comments.all()), list(post.tags.all())

    def auth(draw: Random) -> None:
        _ = Session.objects.get(pk=f"key{draw.randint(1, 400)}").user.name

    return {
        "bad_author": lambda draw: [post.author.name for post in feed(draw, "author_id")],
        "bad_author_profile": lambda draw: [post.author.profile.bio for post in feed(draw, "-author_id")],
        "bad_tags": lambda draw: [list(post.tags.all()) for post in feed(draw, "title")],
        "bad_comment_count": lambda draw: [post.comments.count() for post in feed(draw, "-title")],
        "bad_newest_comment": lambda draw: [
            post.comments.order_by("-id").first() for post in feed(draw, "category_id")
        ],
        "bad_comment_authors": lambda draw: [
            comment.author.name
            for comment in Comment.objects.filter(body="comment").order_by("id")[: draw.randint(5, 25)]
        ],
        "bad_reviewer": lambda draw: [post.reviewer and post.reviewer.name for post in titles(draw)],
        "bad_liked": lambda draw: [
            post.likes.filter(user_id=draw.randint(1, 400)).exists() for post in feed(draw, "-category_id")
        ],
        "bad_orders": lambda draw: [
            item.product.sku
            for order in Order.objects.filter(id__gte=draw.randint(1, 2400)).order_by("id")[: draw.randint(6, 20)]
            for item in order.items.all()
        ],
        "bad_stock": stock,
        "bad_checkout": checkout,
        "bad_tree_down": lambda draw: [descend(root) for root in Category.objects.filter(id=draw.randint(1, 5))],
        "bad_tree_up": tree_up,
        "good_author": lambda draw: [
            post.author.name for post in feed(draw, "author_id", Post.objects.select_related("author"))
        ],
        "good_author_prefetch": lambda draw: [
            post.author.name for post in feed(draw, "author_id", Post.objects.prefetch_related("author__profile"))
        ],
        "good_tags": lambda draw: [
            list(post.tags.all()) for post in feed(draw, "title", Post.objects.prefetch_related("tags"))
        ],
        "good_comment_count": lambda draw: [
            post.n for post in feed(draw, "-title", Post.objects.annotate(n=models.Count("comments")))
        ],
        "good_reviewer": lambda draw: list(feed(draw, "-id", Post.objects.select_related("reviewer", "category"))),
        "good_orders": lambda draw: list(
            Order.objects.prefetch_related("items__product")
            .filter(id__gte=draw.randint(1, 2400))
            .order_by("id")[: draw.randint(6, 20)]
        ),
        "good_stock": lambda draw: Product.objects.filter(id__gte=draw.randint(1, 450)).update(
            stock=models.F("stock") + 1
        ),
        "good_checkout": good_checkout,
        "like_auth": auth,
        "like_poller": lambda draw: Setting.objects.get(pk="setting3"),
        "like_worker": worker,
        "like_cache_miss": lambda draw: [
            Product.objects.get(pk=draw.randint(1, 500)) for _ in range(draw.randint(0, 3))
        ],
        "like_register": register,
        "like_like": like,
        "like_post_page": post_page,
        "like_user_page": lambda draw: list(User.objects.get(pk=draw.randint(1, 400)).posts.all()),
        "like_plain_feed": lambda draw: [post.title for post in plain(draw)],
        "like_category": lambda draw: list(Category.objects.get(pk=draw.randint(1, 120)).children.order_by("name")),
        "like_author_by_name": lambda draw: User.objects.get(pk=draw.randint(1, 400)),
    }


def close() -> None:
    from django.db import connections

    connections.close_all()
