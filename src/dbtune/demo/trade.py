"""What is in the tables of those who pay: products, orders, bookings, invoices, payments."""

from __future__ import annotations

from dbtune.demo import shape
from dbtune.demo.filling import END, Filling, ago, in_order, user_of
from dbtune.demo.shape import Sizes, sql_id_of_rank, sql_pick, sql_rank, sql_share


def trade_fillings(sizes: Sizes) -> tuple[Filling, ...]:
    return (_products(sizes), *_billing(sizes), *_orders(sizes))


def _product(number: str, seed: int, sizes: Sizes) -> str:
    return sql_id_of_rank(sql_rank(number, seed, sizes.products, 20.0), sizes.products)


def _products(sizes: Sizes) -> Filling:
    return Filling(
        "products",
        sizes.products,
        f"""insert into products (id, category_id, sku, name, price, attributes, status, created_at)
        select i, 1 + floor({sql_share("i", 71)} * {shape.CATEGORIES})::bigint, 'SKU-' || lpad(i::text, 8, '0'),
          'Product ' || i, round((5 + {sql_share("i", 72)} * 195)::numeric, 2),
          jsonb_build_object('colour', {sql_pick("i", 73, "red", "green", "blue", "black")},
                             'size', {sql_pick("i", 74, "s", "m", "l")}),
          {sql_pick("i", 75, *["available"] * 8, "sold_out", "retired")}, {ago(900, "i", 76)}
        from generate_series(1::bigint, {sizes.products}) i""",
    )


def _billing(sizes: Sizes) -> tuple[Filling, ...]:
    by_order = f"i > {sizes.invoices}"
    return (
        Filling(
            "payments",
            sizes.payments,
            f"""insert into payments (id, user_id, invoice_id, order_id, provider, provider_reference, amount, currency,
              status, failure, created_at, settled_at)
            select i, {user_of("i", 81, sizes)}, case when not {by_order} then i end,
              case when {by_order} then (i - {sizes.invoices}) % {sizes.orders} + 1 end,
              {sql_pick("i", 82, "stripe", "stripe", "paypal", "adyen")},
              'ref-' || to_hex(hashint8extended(i, 83)) || i,
              round((5 + {sql_share("i", 84)} * 295)::numeric, 2), 'USD', status,
              case when status = 'failed' then '{{"code": "card_declined"}}'::jsonb end,
              created_at, case when status in ('settled', 'refunded') then created_at + interval '2 hours' end
            from (select i, {in_order(365, sizes.payments)} as created_at,
                    {sql_pick("i", 85, *["settled"] * 46, "pending", "failed", "failed", "refunded")} as status
                  from generate_series(1::bigint, {sizes.payments}) i) numbered""",
        ),
        Filling(
            "subscriptions",
            sizes.subscriptions,
            f"""insert into subscriptions (id, user_id, plan, price, status, started_at, renews_at, cancelled_at)
            select i, i, {sql_pick("i", 91, "monthly", "monthly", "yearly")}, 9.99, status, started_at,
              case when status <> 'cancelled' then {END} + {sql_share("i", 93)} * interval '30 days' end,
              case when status = 'cancelled' then started_at + interval '60 days' end
            from (select i, {ago(800, "i", 92)} as started_at,
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
            from (select i, {user_of("i", 101, sizes)} as owner, {in_order(700, sizes.invoices)} as issued_at,
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
            select i, {user_of("i", 111, sizes)},
              {sql_pick("i", 112, *["shipped"] * 45, *["cancelled"] * 2, *["paid"] * 2, "pending")},
              round((10 + {sql_share("i", 113)} * 490)::numeric, 2), 'USD', placed_at, placed_at + interval '1 day'
            from (select i, {in_order(700, sizes.orders)} as placed_at
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
            select i, {user_of("i", 131, sizes)}, {_product("i", 132, sizes)}, status, starts_at,
              starts_at + interval '2 hours', 1 + floor({sql_share("i", 134)} * 4)::int, starts_at - interval '20 days',
              case when status = 'cancelled' then starts_at - interval '1 day' end
            from (select i, {ago(400, "i", 133)} + interval '60 days' as starts_at,
                    {sql_pick("i", 135, *["confirmed"] * 8, "held", "cancelled")} as status
                  from generate_series(1::bigint, {sizes.bookings}) i) numbered""",
        ),
    )
