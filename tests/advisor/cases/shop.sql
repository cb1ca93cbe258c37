-- What the cases are judged on: shapes that real databases have, loaded once, analyzed, and then planned on its twin.
-- Foreign keys are not checked while it is loaded: the rows are right.
set session_replication_role = replica;
create extension pg_trgm;
create extension btree_gist;
-- Not C, so that LIKE needs text_pattern_ops.
create collation words (provider = libc, locale = 'C.UTF-8');
create type order_status as enum ('new', 'paid', 'shipped', 'done', 'failed');

create table customers (
    id bigint primary key,
    email text not null unique,
    name text not null,
    country varchar(2) not null,
    city text collate words,
    code text not null,
    phone varchar(20),
    active boolean not null,
    deleted_at timestamptz,
    balance numeric not null,
    settings jsonb not null,
    created_at timestamptz not null
);
insert into customers
select n, 'user' || n || '@Example.org', 'Name ' || md5(n::text), (array['DE','FR','US','GB','IT'])[1 + (n % 5) * (n % 5) % 5],
    initcap(substr(md5((n % 900)::text), 1, 8)), 'C-' || md5((n * 7)::text), case when n % 3 = 0 then '+49' || n end,
    n % 50 <> 0, case when n % 40 = 0 then timestamptz '2026-01-01' + n * interval '1 minute' end, (n * 37) % 10000,
    jsonb_build_object('theme', (array['dark','light'])[1 + n % 2], 'plan', 'p' || n % 300, 'k', n),
    timestamptz '2020-01-01' + n * interval '30 minutes'
from generate_series(1, 60000) n;

create table orders (
    id bigint primary key,
    customer_id bigint not null references customers,
    status order_status not null,
    state text not null,
    channel text not null,
    total numeric(12, 2) not null,
    discount numeric(12, 2),
    placed_at timestamptz not null,
    shipped_at timestamptz,
    due date not null,
    assigned_to int,
    deleted_at timestamptz,
    archived boolean not null,
    priority int not null,
    note text not null
);
insert into orders
select n, 1 + (n::bigint * 7919) % 60000,
    (array['new','paid','shipped','done','done','done','done','done','done','done'])[1 + n % 10]::order_status,
    case when n % 200 = 0 then 'pending' when n % 201 = 0 then 'failed' else 'done' end,
    (array['web','app','shop'])[1 + n % 3], (n * 31) % 100000 / 100.0, case when n % 10 = 0 then n % 50 end,
    timestamptz '2023-01-01' + n * interval '6 minutes',
    case when n % 100 <> 0 then timestamptz '2023-01-02' + n * interval '6 minutes' end,
    date '2023-01-01' + (n::bigint * 104729 % 1200)::int, case when n % 20 = 0 then (n * 17) % 500 end,
    case when n % 10 <> 0 then null else timestamptz '2025-01-01' + n * interval '1 minute' end,
    n % 25 <> 0, (n * 13) % 1000, md5(n::text) || md5((n + 1)::text)
from generate_series(1, 200000) n;

create table order_items (
    order_id bigint not null references orders,
    line int not null,
    product_id bigint not null,
    quantity int not null,
    price numeric(10, 2) not null,
    primary key (order_id, line)
);
insert into order_items
select n / 2 + 1, n % 2, 1 + (n::bigint * 7907) % 20000, 1 + n % 7, (n % 5000) / 10.0 from generate_series(0, 399997) n;

create table products (
    id bigint primary key,
    sku text not null,
    title text not null,
    category_id int not null,
    tags text[] not null,
    attributes jsonb not null,
    search tsvector not null,
    price numeric not null,
    url text not null,
    hidden boolean
);
insert into products
select n, 'SKU-' || lpad(((n * 7919) % 1000003)::text, 9, '0'), 'Product ' || md5(n::text) || ' ' || md5((n * 3)::text), (n * 31) % 400,
    array['t' || n % 500, 'u' || (n * 7) % 900], jsonb_build_object('color', 'c' || n % 400, 'size', n % 60),
    to_tsvector('simple', md5(n::text) || ' word' || n % 700), (n * 17) % 9000,
    'https://shop.example.org/catalogue/products/' || md5(n::text) || '/' || md5((n * 11)::text), 
    case when n % 500 = 0 then true when n % 3 = 0 then null else false end
from generate_series(1, 20000) n;

create table events (
    id bigint primary key,
    device_id int not null,
    kind text not null,
    happened_at timestamptz not null,
    payload text not null
);
insert into events
select n, (n::bigint * 7919) % 2000, (array['click','view','buy'])[1 + n % 3], timestamptz '2024-01-01' + n * interval '1 minute',
    repeat(md5(n::text), 3) from generate_series(1, 260000) n;

create table bookings (
    id bigint primary key,
    room_id int not null,
    during tstzrange not null,
    place point not null,
    address inet not null
);
insert into bookings
select n, n % 300, tstzrange(timestamptz '2024-01-01' + n * interval '11 minutes', timestamptz '2024-01-01' + n * interval '11 minutes' + interval '1 hour'),
    point((n * 7919) % 10007, (n::bigint * 104729) % 10009), ('10.' || n % 200 || '.' || (n / 7) % 250 || '.' || n % 99)::inet
from generate_series(1, 60000) n;

create table tasks (
    id bigint primary key,
    parent_id bigint references tasks,
    owner_id int not null,
    title text not null,
    done boolean not null,
    rank int not null,
    due_at timestamptz
);
insert into tasks
select n, nullif(n / 4, 0), (n * 7919) % 3000, 'Task ' || md5(n::text), n % 100 <> 0, (n * 13) % 5000,
    case when n % 4 = 0 then timestamptz '2024-01-01' + n * interval '1 hour' end
from generate_series(1, 80000) n;

create table countries (code text primary key, name text not null);
insert into countries select 'K' || n, 'Country ' || n from generate_series(1, 30) n;

create table existing (
    id bigint primary key, a int not null, b int not null, c int not null, d text not null, created_at timestamptz not null
);
insert into existing
select n, (n * 7919) % 5000, (n * 31) % 70, n % 11, md5(n::text), timestamptz '2024-01-01' + ((n::bigint * 7919) % 90000) * interval '1 minute'
from generate_series(1, 90000) n;
create index existing_a_b on existing (a, b);
create index existing_a on existing (a);
create index existing_created on existing (created_at);

create table measures (sensor_id int not null, taken_at timestamptz not null, value double precision not null)
partition by range (taken_at);
create table measures_2024 partition of measures for values from ('2024-01-01') to ('2025-01-01');
create table measures_2025 partition of measures for values from ('2025-01-01') to ('2026-01-01');
create table measures_later partition of measures default;
insert into measures
select (n * 7919) % 800, timestamptz '2024-01-01' + n * interval '8 minutes', n % 1000 from generate_series(1, 120000) n;

create table "Wild ""Table" ("Sel""ect" int not null, "ünï cödé" text not null, "order" int not null, "a.b" int not null);
insert into "Wild ""Table" select (n * 7919) % 9000, md5(n::text), n % 70, (n * 31) % 40000 from generate_series(1, 50000) n;

create view open_orders as select id, customer_id, total, placed_at from orders where deleted_at is null and not archived;
create view customer_totals as
select customers.id, customers.name, sum(orders.total) as total from customers join orders on orders.customer_id = customers.id
group by customers.id;
create materialized view daily_sales as
select due, channel, count(*) as orders, sum(total) as total from orders group by due, channel;

