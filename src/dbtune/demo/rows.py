"""The statements that fill the tables: each a single INSERT whose rows depend on nothing but their numbers."""

from __future__ import annotations

from dataclasses import dataclass

from dbtune.demo import shape
from dbtune.demo.shape import Sizes, sql_id_of_rank, sql_pick, sql_rank, sql_share

_END = f"timestamptz '{shape.DATA_END}'"
_USER_SHIFT = 20.0
_CONTENT_SHIFT = 50.0


@dataclass(frozen=True, slots=True)
class Filling:
    """`sql` inserts about `rows` rows into `table`."""

    table: str
    rows: int
    sql: str


def first_fillings(sizes: Sizes) -> tuple[Filling, ...]:
    """Everything that can be filled in any order, the longest work first."""
    return (
        _interactions(sizes),
        *_people(sizes),
        *_catalogue(sizes),
        *_payments(sizes),
        *_streaming(sizes),
        *_courses(sizes),
    )


def last_fillings(sizes: Sizes) -> tuple[Filling, ...]:
    """Contents carry the score of their interactions, so these must be there."""
    return (_contents(sizes),)


def _user(number: str, seed: int, sizes: Sizes) -> str:
    return sql_id_of_rank(sql_rank(number, seed, sizes.users, _USER_SHIFT), sizes.users)


def _ago(days: float, number: str, seed: int) -> str:
    """A time within the last `days`."""
    return f"{_END} - {sql_share(number, seed)} * interval '{days} days'"


def _in_order(days: float, rows: int) -> str:
    """A time that grows with the row's number `i`, as in a table that is only appended to."""
    return f"{_END} - ({rows} - i) * interval '{days * 86400 / rows:.6f} seconds'"


def _interactions(sizes: Sizes) -> Filling:
    rows = sizes.interactions
    content = sql_id_of_rank(sql_rank("i", 2, sizes.contents, _CONTENT_SHIFT), sizes.contents)
    # One draw decides kind and weight: of twenty interactions fourteen are views, and a share weighs most.
    draw = f"1 + floor({sql_share('i', 3)} * 20)::int"
    return Filling(
        "user_interactions",
        rows,
        f"""insert into user_interactions (id, user_id, content_id, created_at, weight, kind)
        select i, user_id, content_id, created_at,
          ('{{1,1,1,1,1,1,1,1,1,1,1,1,1,1,3,3,3,4,4,8}}'::smallint[])[draw],
          ('{{view,view,view,view,view,view,view,view,view,view,view,view,view,view,'
           'like,like,like,complete,complete,share}}'::text[])[draw]
        from (select i, {_user("i", 1, sizes)} as user_id, {content} as content_id,
                {_in_order(365, rows)} as created_at, {draw} as draw
              from generate_series(1::bigint, {rows}) i) numbered""",
    )


def _contents(sizes: Sizes) -> Filling:
    courses, lessons = sizes.courses, sizes.courses * shape.LESSONS_PER_COURSE
    is_lesson = f"id between {courses + 1} and {courses + lessons}"
    # What is popular is published: nobody looks at a deleted content for long.
    unpopular = f"(rank > {sizes.contents // 10} and id > {courses + lessons})"
    return Filling(
        "contents",
        sizes.contents,
        f"""insert into contents (id, parent_id, position, category_id, author_id, kind, title, slug, summary, status,
          metadata, engagement_score, published_at, created_at, updated_at, deleted_at)
        select id,
          case when {is_lesson} then (id - {courses + 1}) / {shape.LESSONS_PER_COURSE} + 1 end,
          case when {is_lesson} then (id - {courses + 1}) % {shape.LESSONS_PER_COURSE} + 1 end,
          1 + floor({sql_share("id", 11)} * {shape.CATEGORIES})::bigint,
          {_user("id", 12, sizes)},
          case when id <= {courses} then 'course' when {is_lesson} then 'lesson'
               else {sql_pick("id", 13, "article", "article", "video", "podcast")} end,
          {sql_pick("id", 14, "How to", "Why we", "When to", "A guide to")} || ' '
            || {sql_pick("id", 15, "listen", "measure", "cook", "travel", "paint", "repair", "write", "sing")} || ' '
            || id,
          'content-' || id,
          repeat({sql_pick("id", 16, "A calm introduction. ", "What others leave out. ", "With many examples. ")}, 4),
          case when {unpopular} then {sql_pick("id", 17, *["published"] * 17, "draft", "draft", "archived")}
               else 'published' end,
          jsonb_build_object('language', {sql_pick("id", 18, "en", "en", "en", "es", "fr", "de")},
                             'minutes', 1 + floor({sql_share("id", 19)} * 60)::int),
          coalesce(score, 0),
          created_at, created_at, created_at,
          case when {unpopular} and {sql_share("id", 20)} < 0.03 then created_at + interval '30 days' end
        from (select {sql_id_of_rank("rank", sizes.contents)} as id, rank, {_ago(900, "rank", 21)} as created_at
              from generate_series(0::bigint, {sizes.contents - 1}) rank) numbered
        left join (select content_id, sum(weight) as score from user_interactions group by content_id) scores
          on content_id = id
        order by id""",
    )


def _people(sizes: Sizes) -> tuple[Filling, ...]:
    role = f"1 + {sql_rank('i', 31, shape.ROLES, 5.0)}"
    hashed = "lpad(to_hex(hashint8extended(i, 41)), 16, '0') || lpad(to_hex(hashint8extended(i, 42)), 16, '0')"
    return (
        Filling(
            "roles",
            shape.ROLES,
            # The parent of role 20 is 5, its parent 1: chains of up to three.
            f"""insert into roles (id, parent_id, name, description)
            select i, case when i > 4 then i / 4 end, 'role-' || i, 'What role ' || i || ' may do'
            from generate_series(1::bigint, {shape.ROLES}) i""",
        ),
        Filling(
            "role_permissions",
            shape.ROLES * 25,
            f"""insert into role_permissions (id, role_id, resource, action, granted_at)
            select (role - 1) * 25 + k + 1, role, 'resource-' || (role * 13 + k * 3) % 100 / 5,
              (array['read', 'list', 'create', 'update', 'delete'])[1 + (role * 13 + k * 3) % 5], {_ago(900, "k", 32)}
            from generate_series(1::bigint, {shape.ROLES}) role, generate_series(0, 24) k""",
        ),
        Filling(
            "users",
            sizes.users,
            f"""insert into users (id, role_id, email, display_name, password_hash, status, country, profile,
              last_login_at, created_at, deleted_at)
            select i, {role}, 'User' || i || '@Example.com', 'User ' || i,
              '$argon2id$v=19$m=65536,t=3,p=4$' || lpad(to_hex(hashint8extended(i, 33)), 16, '0'),
              {sql_pick("i", 34, *["active"] * 18, "invited", "suspended")},
              {sql_pick("i", 35, "US", "US", "US", "GB", "IN", "DE", "BR", "JP")},
              jsonb_build_object('locale', {sql_pick("i", 36, "en", "en", "en", "es", "fr", "de")},
                                 'newsletter', i % 3 = 0),
              case when i % 10 > 0 then {_ago(90, "i", 37)} end, {_ago(900, "i", 38)} - interval '90 days', null
            from generate_series(1::bigint, {sizes.users}) i""",
        ),
        Filling(
            "token_blacklist",
            sizes.revoked_tokens,
            f"""insert into token_blacklist (id, user_id, token_hash, reason, revoked_at, expires_at)
            select i, {_user("i", 43, sizes)}, {hashed},
              {sql_pick("i", 44, "logout", "logout", "logout", "password change", "stolen")},
              revoked_at, revoked_at + interval '30 days'
            from (select i, {_in_order(60, sizes.revoked_tokens)} as revoked_at
                  from generate_series(1::bigint, {sizes.revoked_tokens}) i) numbered""",
        ),
        Filling(
            "user_interests",
            sizes.users * 3,
            f"""insert into user_interests (id, user_id, category_id, weight, updated_at)
            select (i - 1) * 3 + k + 1, i,
              (floor({sql_share("i", 51)} * {shape.CATEGORIES})::bigint + k * 17) % {shape.CATEGORIES} + 1,
              90 - k * 30 + floor({sql_share("i", 52)} * 20)::int, {_ago(90, "i", 53)}
            from generate_series(1::bigint, {sizes.users}) i, generate_series(0, 2) k""",
        ),
    )


def _catalogue(sizes: Sizes) -> tuple[Filling, ...]:
    return (
        Filling(
            "categories",
            shape.CATEGORIES,
            f"""insert into categories (id, parent_id, name, slug)
            select i, case when i > 10 then i % 10 + 1 end, 'Category ' || i, 'category-' || i
            from generate_series(1::bigint, {shape.CATEGORIES}) i""",
        ),
        Filling(
            "tags",
            shape.TAGS,
            f"""insert into tags (id, name, slug)
            select i, 'Tag ' || i, 'tag-' || i from generate_series(1::bigint, {shape.TAGS}) i""",
        ),
        Filling(
            "content_tags",
            sizes.contents * 2,
            # Two a content, an odd and an even one, so that no content has a tag twice.
            f"""insert into content_tags (id, content_id, tag_id, created_at)
            select i, (i + 1) / 2, {sql_rank("i", 61, shape.TAGS // 2, 10.0)} * 2 + 1 + i % 2,
              {_in_order(900, sizes.contents * 2)}
            from generate_series(1::bigint, {sizes.contents * 2}) i""",
        ),
        Filling(
            "products",
            sizes.products,
            f"""insert into products (id, category_id, sku, name, price, attributes, status, created_at)
            select i, 1 + floor({sql_share("i", 71)} * {shape.CATEGORIES})::bigint, 'SKU-' || lpad(i::text, 8, '0'),
              'Product ' || i, round((5 + {sql_share("i", 72)} * 195)::numeric, 2),
              jsonb_build_object('colour', {sql_pick("i", 73, "red", "green", "blue", "black")},
                                 'size', {sql_pick("i", 74, "s", "m", "l")}),
              {sql_pick("i", 75, *["available"] * 8, "sold_out", "retired")}, {_ago(900, "i", 76)}
            from generate_series(1::bigint, {sizes.products}) i""",
        ),
    )


def _product(number: str, seed: int, sizes: Sizes) -> str:
    return sql_id_of_rank(sql_rank(number, seed, sizes.products, 20.0), sizes.products)


def _payments(sizes: Sizes) -> tuple[Filling, ...]:
    return (*_billing(sizes), *_orders(sizes))


def _billing(sizes: Sizes) -> tuple[Filling, ...]:
    by_order = f"i > {sizes.invoices}"
    return (
        Filling(
            "payments",
            sizes.payments,
            f"""insert into payments (id, user_id, invoice_id, order_id, provider, provider_reference, amount, currency,
              status, failure, created_at, settled_at)
            select i, {_user("i", 81, sizes)}, case when not {by_order} then i end,
              case when {by_order} then (i - {sizes.invoices}) % {sizes.orders} + 1 end,
              {sql_pick("i", 82, "stripe", "stripe", "paypal", "adyen")},
              'ref-' || to_hex(hashint8extended(i, 83)) || i,
              round((5 + {sql_share("i", 84)} * 295)::numeric, 2), 'USD', status,
              case when status = 'failed' then '{{"code": "card_declined"}}'::jsonb end,
              created_at, case when status in ('settled', 'refunded') then created_at + interval '2 hours' end
            from (select i, {_in_order(365, sizes.payments)} as created_at,
                    {sql_pick("i", 85, *["settled"] * 46, "pending", "failed", "failed", "refunded")} as status
                  from generate_series(1::bigint, {sizes.payments}) i) numbered""",
        ),
        Filling(
            "subscriptions",
            sizes.subscriptions,
            f"""insert into subscriptions (id, user_id, plan, price, status, started_at, renews_at, cancelled_at)
            select i, i, {sql_pick("i", 91, "monthly", "monthly", "yearly")}, 9.99, status, started_at,
              case when status <> 'cancelled' then {_END} + {sql_share("i", 93)} * interval '30 days' end,
              case when status = 'cancelled' then started_at + interval '60 days' end
            from (select i, {_ago(800, "i", 92)} as started_at,
                    {sql_pick("i", 94, *["active"] * 15, *["cancelled"] * 3, "trialing", "past_due")} as status
                  from generate_series(1::bigint, {sizes.subscriptions}) i) numbered""",
        ),
        Filling(
            "invoices",
            sizes.invoices,
            f"""insert into invoices (id, user_id, subscription_id, number, amount, currency, status, issued_at, due_at,
              paid_at)
            select i, owner, owner, 'INV-' || lpad(i::text, 9, '0'), 9.99, 'USD', status, issued_at,
              issued_at + interval '14 days', case when status = 'paid' then issued_at + interval '3 days' end
            from (select i, {_user("i", 101, sizes)} as owner, {_in_order(700, sizes.invoices)} as issued_at,
                    {sql_pick("i", 102, *["paid"] * 47, "open", "open", "void")} as status
                  from generate_series(1::bigint, {sizes.invoices}) i) numbered""",
        ),
    )


def _orders(sizes: Sizes) -> tuple[Filling, ...]:
    items = sizes.orders * 5 // 2
    return (
        Filling(
            "orders",
            sizes.orders,
            f"""insert into orders (id, user_id, status, total, currency, placed_at, updated_at)
            select i, {_user("i", 111, sizes)},
              {sql_pick("i", 112, *["shipped"] * 45, *["cancelled"] * 2, *["paid"] * 2, "pending")},
              round((10 + {sql_share("i", 113)} * 490)::numeric, 2), 'USD', placed_at, placed_at + interval '1 day'
            from (select i, {_in_order(700, sizes.orders)} as placed_at
                  from generate_series(1::bigint, {sizes.orders}) i) numbered""",
        ),
        Filling(
            "order_items",
            items,
            f"""insert into order_items (id, order_id, product_id, quantity, unit_price)
            select i, (i - 1) * 2 / 5 + 1, {_product("i", 121, sizes)}, 1 + floor({sql_share("i", 122)} * 3)::int,
              round((5 + {sql_share("i", 123)} * 195)::numeric, 2)
            from generate_series(1::bigint, {items}) i""",
        ),
        Filling(
            "bookings",
            sizes.bookings,
            f"""insert into bookings (id, user_id, product_id, status, starts_at, ends_at, seats, created_at,
              cancelled_at)
            select i, {_user("i", 131, sizes)}, {_product("i", 132, sizes)}, status, starts_at,
              starts_at + interval '2 hours', 1 + floor({sql_share("i", 134)} * 4)::int, starts_at - interval '20 days',
              case when status = 'cancelled' then starts_at - interval '1 day' end
            from (select i, {_ago(400, "i", 133)} + interval '60 days' as starts_at,
                    {sql_pick("i", 135, *["confirmed"] * 8, "held", "cancelled")} as status
                  from generate_series(1::bigint, {sizes.bookings}) i) numbered""",
        ),
    )


def _streaming(sizes: Sizes) -> tuple[Filling, ...]:
    jobs = sizes.videos * 3
    return (
        Filling(
            "videos",
            sizes.videos,
            f"""insert into videos (id, content_id, storage_key, resolution, duration_s, status, metadata, created_at)
            select i, i * {shape.SPREAD} % {sizes.contents} + 1,
              'media/' || to_hex(hashint8extended(i, 141)) || '/' || i,
              {sql_pick("i", 142, "720p", "1080p", "1080p", "2160p")}, 30 + floor({sql_share("i", 143)} * 3600)::int,
              {sql_pick("i", 144, *["ready"] * 47, "uploaded", "processing", "failed")},
              jsonb_build_object('codec', {sql_pick("i", 145, "h264", "h264", "h265", "av1")}, 'fps', 25 + i % 2 * 5),
              {_in_order(900, sizes.videos)}
            from generate_series(1::bigint, {sizes.videos}) i""",
        ),
        Filling(
            "transcoding_jobs",
            jobs,
            f"""insert into transcoding_jobs (id, video_id, profile, status, priority, attempts, worker, error,
              queued_at, started_at, finished_at)
            select i, (i - 1) / 3 + 1, (array['hls-720p', 'hls-1080p', 'dash-2160p'])[1 + i % 3], status,
              floor({sql_share("i", 151)} * 10)::int, 1, case when status <> 'queued' then 'worker-' || i % 20 end,
              case when status = 'failed' then 'out of disk space' end, queued_at,
              case when status <> 'queued' then queued_at + interval '1 minute' end,
              case when status in ('done', 'failed') then queued_at + interval '9 minutes' end
            from (select i, {_in_order(900, jobs)} as queued_at,
                    {sql_pick("i", 152, *["done"] * 95, *["failed"] * 3, "queued", "running")} as status
                  from generate_series(1::bigint, {jobs}) i) numbered""",
        ),
    )


def _courses(sizes: Sizes) -> tuple[Filling, ...]:
    lessons = shape.LESSONS_PER_COURSE
    tracked = sizes.enrolments * lessons
    return (
        Filling(
            "content_tracking",
            tracked,
            # An enrolment creates a row for each lesson; how far somebody got differs.
            f"""insert into content_tracking (id, user_id, content_id, status, progress, last_seen_at, completed_at)
            select (e - 1) * {lessons} + lesson, {sql_id_of_rank("e - 1", sizes.users)},
              {sizes.courses} + (e - 1) % {sizes.courses} * {lessons} + lesson,
              case when lesson < reached then 'completed' when lesson = reached then 'started' else 'not_started' end,
              case when lesson < reached then 100 when lesson = reached then 40 else 0 end,
              case when lesson <= reached then {_END} - (reached - lesson) * interval '1 day' end,
              case when lesson < reached then {_END} - (reached - lesson) * interval '1 day' end
            from (select e, 1 + floor({sql_share("e", 161)} * {lessons})::int as reached
                  from generate_series(1::bigint, {sizes.enrolments}) e) enrolled,
                 generate_series(1, {lessons}) lesson""",
        ),
        Filling(
            "content_tracking_details",
            tracked * 2,
            f"""insert into content_tracking_details (id, tracking_id, event, position_s, payload, created_at)
            select i, (i + 1) / 2, (array['viewed', 'assigned'])[1 + i % 2],
              i % 2 * floor({sql_share("i", 171)} * 600)::int,
              jsonb_build_object('device', {sql_pick("i", 172, "phone", "phone", "browser", "tv")}),
              {_in_order(365, tracked * 2)}
            from generate_series(1::bigint, {tracked * 2}) i""",
        ),
    )
