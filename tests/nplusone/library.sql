-- A second application, for other shapes: a library with several branches, keys of two columns, and dates.
create table branches (branch_no int primary key, city text not null);
create table subjects (subject_id serial primary key, broader_id int references subjects, label text not null);
create table writers (writer_id serial primary key, full_name text not null, country text not null);
create table books (
    isbn text primary key, title text not null, subject_id int not null references subjects, year int not null
);
create table book_writers (isbn text references books, writer_id int references writers, primary key (isbn, writer_id));
create table copies (
    branch_no int references branches, copy_no int, isbn text not null references books, shelf text not null,
    primary key (branch_no, copy_no)
);
create table members (
    member_id serial primary key, card text not null unique, home_branch int references branches,
    guarantor_id int references members, full_name text not null
);
create table loans (
    loan_id serial primary key, member_id int not null references members, branch_no int not null, copy_no int not null,
    due date not null, returned date, foreign key (branch_no, copy_no) references copies
);
create table fines (fine_id serial primary key, loan_id int not null references loans, cents int not null);
create table holds (
    hold_id serial primary key, isbn text not null references books, member_id int not null references members
);
create table reviews (
    review_id serial primary key, isbn text not null references books, member_id int references members, stars int not null
);
create table reminders (reminder_id serial primary key, loan_id int not null, note text not null);

insert into branches select i, 'city ' || i from generate_series(1, 12) i;
insert into subjects (broader_id, label) select case when i > 4 then 1 + i / 4 end, 'subject ' || i from generate_series(1, 200) i;
insert into writers (full_name, country) select 'writer ' || i, 'c' || i % 30 from generate_series(1, 600) i;
insert into books select 'isbn' || i, 'title ' || (i * 7919) % 2000, 1 + (i * 13) % 200, 1950 + i % 75 from generate_series(1, 2000) i;
insert into book_writers select 'isbn' || i, 1 + (i * 31 + n * 17) % 600 from generate_series(1, 2000) i, generate_series(0, 1) n where n = 0 or i % 3 = 0;
insert into copies select 1 + i % 12, i, 'isbn' || 1 + i % 2000, 'shelf ' || i % 40 from generate_series(1, 6000) i;
insert into members (card, home_branch, guarantor_id, full_name)
select 'card' || i, case when i % 4 > 0 then 1 + i % 12 end, case when i % 5 = 0 then i / 5 end, 'member ' || i from generate_series(1, 900) i;
insert into loans (member_id, branch_no, copy_no, due, returned)
select 1 + (i * 7) % 900, 1 + c % 12, c, date '2024-01-01' + i % 300, case when i % 3 = 0 then date '2024-02-01' + i % 300 end
from (select i, 1 + (i * 11) % 6000 as c from generate_series(1, 9000) i) x;
insert into fines (loan_id, cents) select 1 + (i * 5) % 9000, 10 * i % 900 from generate_series(1, 3000) i;
insert into holds (isbn, member_id) select 'isbn' || 1 + (i * 3) % 2000, 1 + (i * 17) % 900 from generate_series(1, 4000) i;
insert into reviews (isbn, member_id, stars) select 'isbn' || 1 + (i * i) % 2000, case when i % 5 > 0 then 1 + (i * 3) % 900 end, 1 + i % 5 from generate_series(1, 7000) i;
create index on copies (isbn);
create index on loans (member_id);
create index on fines (loan_id);
create index on holds (isbn);
create index on reviews (isbn);
create index on book_writers (writer_id);
create index on subjects (broader_id);
analyze;
