-- The journal: what dbtune meant to do, did, and how to take it back. Made by the first apply, in the target itself.
create schema if not exists dbtune;
comment on schema dbtune is 'The journal of dbtune: which changes were made here and how to take them back.';
create table if not exists dbtune.run (
    run_id text primary key,
    command text not null,
    playbook text not null,
    playbook_hash text,
    reverts text,
    status text not null,
    started_at timestamptz not null default clock_timestamp(),
    ended_at timestamptz,
    role text not null default current_user,
    host text not null,
    client_pid integer not null,
    backend_pid integer not null default pg_backend_pid(),
    backend_start timestamptz,
    dbtune text not null
);
create table if not exists dbtune.step (
    run_id text not null references dbtune.run,
    place integer not null,
    step_id text not null,
    kind text not null,
    name text not null,
    fingerprint text not null,
    status text not null,
    actions jsonb not null,
    undo jsonb not null,
    sql text[] not null,
    before jsonb not null,
    after jsonb not null default '{}',
    started_at timestamptz not null default clock_timestamp(),
    ended_at timestamptz,
    error text,
    primary key (run_id, place)
);
