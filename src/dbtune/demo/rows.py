"""What is in the tables of people, contents, videos and courses."""

from __future__ import annotations

from dbtune.demo import shape
from dbtune.demo.filling import END, Filling, ago, in_order, user_of
from dbtune.demo.shape import Sizes, sql_id_of_rank, sql_pick, sql_rank, sql_share
from dbtune.demo.trade import trade_fillings

_CONTENT_SHIFT = 50.0


def first_fillings(sizes: Sizes) -> tuple[Filling, ...]:
    """Everything that can be filled in any order, the longest work first."""
    return (
        _interactions(sizes),
        *_people(sizes),
        *_catalogue(sizes),
        *trade_fillings(sizes),
        *_streaming(sizes),
        *_courses(sizes),
    )


def last_fillings(sizes: Sizes) -> tuple[Filling, ...]:
    """Contents carry the score of their interactions, so these must be there."""
    return (_contents(sizes),)


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
        from (select i, {user_of("i", 1, sizes)} as user_id, {content} as content_id,
                {in_order(365, rows)} as created_at, {draw} as draw
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
          {user_of("id", 12, sizes)},
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
        from (select {sql_id_of_rank("rank", sizes.contents)} as id, rank, {ago(900, "rank", 21)} as created_at
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
              (array['read', 'list', 'create', 'update', 'delete'])[1 + (role * 13 + k * 3) % 5], {ago(900, "k", 32)}
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
              case when i % 10 > 0 then {ago(90, "i", 37)} end, {ago(900, "i", 38)} - interval '90 days', null
            from generate_series(1::bigint, {sizes.users}) i""",
        ),
        Filling(
            "token_blacklist",
            sizes.revoked_tokens,
            f"""insert into token_blacklist (id, user_id, token_hash, reason, revoked_at, expires_at)
            select i, {user_of("i", 43, sizes)}, {hashed},
              {sql_pick("i", 44, "logout", "logout", "logout", "password change", "stolen")},
              revoked_at, revoked_at + interval '30 days'
            from (select i, {in_order(60, sizes.revoked_tokens)} as revoked_at
                  from generate_series(1::bigint, {sizes.revoked_tokens}) i) numbered""",
        ),
        Filling(
            "user_interests",
            sizes.users * 3,
            f"""insert into user_interests (id, user_id, category_id, weight, updated_at)
            select (i - 1) * 3 + k + 1, i,
              (floor({sql_share("i", 51)} * {shape.CATEGORIES})::bigint + k * 17) % {shape.CATEGORIES} + 1,
              90 - k * 30 + floor({sql_share("i", 52)} * 20)::int, {ago(90, "i", 53)}
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
              {in_order(900, sizes.contents * 2)}
            from generate_series(1::bigint, {sizes.contents * 2}) i""",
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
              {in_order(900, sizes.videos)}
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
            from (select i, {in_order(900, jobs)} as queued_at,
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
              case when lesson <= reached then {END} - (reached - lesson) * interval '1 day' end,
              case when lesson < reached then {END} - (reached - lesson) * interval '1 day' end
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
              {in_order(365, tracked * 2)}
            from generate_series(1::bigint, {tracked * 2}) i""",
        ),
    )
