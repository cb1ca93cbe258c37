-- The sample's tables as they were first written: no key, no index. Rows go in first, keys.sql comes after them.

create table roles (
    id          bigint not null,
    parent_id   bigint,
    name        text not null,
    description text
);

create table role_permissions (
    id         bigint not null,
    role_id    bigint not null,
    resource   text not null,
    action     text not null,
    granted_at timestamptz not null
);

create table users (
    id            bigint not null,
    role_id       bigint not null,
    email         text not null,
    display_name  text not null,
    password_hash text not null,
    status        text not null default 'active' check (status in ('active', 'invited', 'suspended')),
    country       text not null,
    profile       jsonb not null default '{}',
    last_login_at timestamptz,
    created_at    timestamptz not null,
    deleted_at    timestamptz
);

create table token_blacklist (
    id         bigint not null,
    user_id    bigint not null,
    token_hash text not null,
    reason     text not null,
    revoked_at timestamptz not null,
    expires_at timestamptz not null
);

create table categories (
    id        bigint not null,
    parent_id bigint,
    name      text not null,
    slug      text not null
);

create table tags (
    id   bigint not null,
    name text not null,
    slug text not null
);

-- A course is a content of kind 'course'; its lessons are contents whose parent it is.
create table contents (
    id               bigint not null,
    parent_id        bigint,
    position         integer,
    category_id      bigint not null,
    author_id        bigint not null,
    kind             text not null check (kind in ('article', 'video', 'podcast', 'course', 'lesson')),
    title            text not null,
    slug             text not null,
    summary          text not null,
    status           text not null default 'draft' check (status in ('draft', 'published', 'archived')),
    metadata         jsonb not null default '{}',
    engagement_score numeric(14, 2) not null default 0,
    published_at     timestamptz,
    created_at       timestamptz not null,
    updated_at       timestamptz not null,
    deleted_at       timestamptz
);

create table content_tags (
    id         bigint not null,
    content_id bigint not null,
    tag_id     bigint not null,
    created_at timestamptz not null
);

create table user_interests (
    id          bigint not null,
    user_id     bigint not null,
    category_id bigint not null,
    weight      integer not null,
    updated_at  timestamptz not null
);

create table user_interactions (
    id         bigint not null,
    user_id    bigint not null,
    content_id bigint not null,
    created_at timestamptz not null,
    weight     smallint not null,
    kind       text not null
);

create table subscriptions (
    id           bigint not null,
    user_id      bigint not null,
    plan         text not null,
    price        numeric(12, 2) not null,
    status       text not null check (status in ('trialing', 'active', 'past_due', 'cancelled')),
    started_at   timestamptz not null,
    renews_at    timestamptz,
    cancelled_at timestamptz
);

create table invoices (
    id              bigint not null,
    user_id         bigint not null,
    subscription_id bigint,
    number          text not null,
    amount          numeric(12, 2) not null,
    currency        char(3) not null,
    status          text not null check (status in ('draft', 'open', 'paid', 'void')),
    issued_at       timestamptz not null,
    due_at          timestamptz not null,
    paid_at         timestamptz
);

create table products (
    id          bigint not null,
    category_id bigint not null,
    sku         text not null,
    name        text not null,
    price       numeric(12, 2) not null,
    attributes  jsonb not null default '{}',
    status      text not null check (status in ('available', 'sold_out', 'retired')),
    created_at  timestamptz not null,
    deleted_at  timestamptz
);

create table orders (
    id         bigint not null,
    user_id    bigint not null,
    status     text not null check (status in ('pending', 'paid', 'shipped', 'cancelled')),
    total      numeric(12, 2) not null,
    currency   char(3) not null,
    placed_at  timestamptz not null,
    updated_at timestamptz not null
);

create table order_items (
    id         bigint not null,
    order_id   bigint not null,
    product_id bigint not null,
    quantity   integer not null check (quantity > 0),
    unit_price numeric(12, 2) not null
);

create table bookings (
    id           bigint not null,
    user_id      bigint not null,
    product_id   bigint not null,
    status       text not null check (status in ('held', 'confirmed', 'cancelled')),
    starts_at    timestamptz not null,
    ends_at      timestamptz not null,
    seats        integer not null default 1,
    created_at   timestamptz not null,
    cancelled_at timestamptz
);

create table payments (
    id                 bigint not null,
    user_id            bigint not null,
    invoice_id         bigint,
    order_id           bigint,
    provider           text not null,
    provider_reference text not null,
    amount             numeric(12, 2) not null,
    currency           char(3) not null,
    status             text not null check (status in ('pending', 'settled', 'failed', 'refunded')),
    failure            jsonb,
    created_at         timestamptz not null,
    settled_at         timestamptz
);

create table videos (
    id           bigint not null,
    content_id   bigint not null,
    storage_key  text not null,
    resolution   text not null,
    duration_s   integer not null,
    status       text not null check (status in ('uploaded', 'processing', 'ready', 'failed')),
    metadata     jsonb not null default '{}',
    created_at   timestamptz not null,
    deleted_at   timestamptz
);

create table transcoding_jobs (
    id          bigint not null,
    video_id    bigint not null,
    profile     text not null,
    status      text not null check (status in ('queued', 'running', 'done', 'failed')),
    priority    integer not null default 0,
    attempts    integer not null default 0,
    worker      text,
    error       text,
    queued_at   timestamptz not null,
    started_at  timestamptz,
    finished_at timestamptz
);

create table content_tracking (
    id           bigint not null,
    user_id      bigint not null,
    content_id   bigint not null,
    status       text not null check (status in ('not_started', 'started', 'completed')),
    progress     integer not null default 0 check (progress between 0 and 100),
    last_seen_at timestamptz,
    completed_at timestamptz
);

create table content_tracking_details (
    id          bigint not null,
    tracking_id bigint not null,
    event       text not null,
    position_s  integer not null,
    payload     jsonb not null default '{}',
    created_at  timestamptz not null
);
