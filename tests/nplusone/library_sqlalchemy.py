# mypy: disable-error-code="misc,arg-type,no-any-return,attr-defined,no-untyped-call"
"""A library on SQLAlchemy, whose pages share their lists: the same text is read by bad, fixed and plain endpoints."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import sqlalchemy as sa
from psycopg import conninfo
from sqlalchemy import orm

EXPECTED: dict[str, tuple[str, ...]] = {
    "bad_subject": (r"FROM subjects\s+WHERE subjects.subject_id = ",),
    "bad_writers": (r"FROM writers, book_writers\s+WHERE",),
    "bad_copies": (r"FROM copies\s+WHERE .* = copies.isbn",),
    "bad_overdue": (r"FROM copies\s+WHERE copies.branch_no = ", r"FROM books\s+WHERE books.isbn = "),
    "bad_borrower": (r"FROM members\s+WHERE members.member_id = ",),
    "bad_fines": (r"sum\(fines.cents\).*FROM fines\s+WHERE fines.loan_id = ",),
    "bad_stars": (r"avg\(reviews.stars\).*FROM reviews\s+WHERE reviews.isbn = ",),
    "bad_reviewer": (r"FROM members\s+WHERE members.member_id = ",),
    "bad_holds": (r"count\(.*FROM holds\s+WHERE holds.isbn = ",),
    "bad_reminders": (r"^INSERT INTO reminders .* VALUES \(\$1::INTEGER, \$2::VARCHAR\)",),
    "bad_returns": (r"^UPDATE loans",),
    "bad_broader": (r"FROM subjects\s+WHERE subjects.subject_id = ",),
}
"""Endpoint: what the texts of the statements that it repeats look like."""

ENGINES: list[sa.Engine] = []
KEPT: list[type] = []


def close() -> None:
    for engine in ENGINES:
        engine.dispose()


def prepare(dsn: str) -> dict[str, Callable[[Random], Any]]:  # noqa: C901, PLR0915 - a list of small functions
    """Each endpoint is one request: one session, one transaction."""
    engine = sa.create_engine("postgresql+psycopg://", connect_args=conninfo.conninfo_to_dict(dsn))
    ENGINES.append(engine)
    base: Any = orm.declarative_base()
    whole = lambda *more, **how: sa.Column(sa.Integer, *more, **how)  # noqa: E731
    text = lambda *more, **how: sa.Column(sa.Text, *more, **how)  # noqa: E731
    key = sa.ForeignKey

    book_writers = sa.Table(
        "book_writers",
        base.metadata,
        text(key("books.isbn"), name="isbn"),
        whole(key("writers.writer_id"), name="writer_id"),
    )

    class Subject(base):
        __tablename__ = "subjects"
        subject_id, broader_id, label = whole(primary_key=True), whole(key("subjects.subject_id")), text()
        broader = orm.relationship("Subject", remote_side=[subject_id])

    class Writer(base):
        __tablename__ = "writers"
        writer_id, full_name, country = whole(primary_key=True), text(), text()

    class Book(base):
        __tablename__ = "books"
        isbn, title, subject_id, year = text(primary_key=True), text(), whole(key("subjects.subject_id")), whole()
        subject = orm.relationship("Subject")
        writers = orm.relationship("Writer", secondary=book_writers)
        copies = orm.relationship("Copy", back_populates="book")

    class Copy(base):
        __tablename__ = "copies"
        branch_no, copy_no = whole(primary_key=True), whole(primary_key=True)
        isbn, shelf = text(key("books.isbn")), text()
        book = orm.relationship("Book", back_populates="copies")

    class Member(base):
        __tablename__ = "members"
        member_id, card, full_name = whole(primary_key=True), text(), text()
        home_branch, guarantor_id = whole(), whole(key("members.member_id"))

    class Loan(base):
        __tablename__ = "loans"
        __table_args__ = (sa.ForeignKeyConstraint(["branch_no", "copy_no"], ["copies.branch_no", "copies.copy_no"]),)
        loan_id, member_id = whole(primary_key=True), whole(key("members.member_id"))
        branch_no, copy_no, due, returned = whole(), whole(), sa.Column(sa.Date), sa.Column(sa.Date)
        member = orm.relationship("Member")
        copy = orm.relationship("Copy")

    class Fine(base):
        __tablename__ = "fines"
        fine_id, loan_id, cents = whole(primary_key=True), whole(key("loans.loan_id")), whole()

    class Hold(base):
        __tablename__ = "holds"
        hold_id, isbn, member_id = whole(primary_key=True), text(key("books.isbn")), whole(key("members.member_id"))

    class Review(base):
        __tablename__ = "reviews"
        review_id, isbn, stars = whole(primary_key=True), text(key("books.isbn")), whole()
        member_id = whole(key("members.member_id"))
        member = orm.relationship("Member")

    class Reminder(base):
        __tablename__ = "reminders"
        reminder_id, loan_id, note = whole(primary_key=True), whole(), text()

    KEPT.extend(mapper.class_ for mapper in base.registry.mappers)

    def request(work: Callable[[Any, Random], Any]) -> Callable[[Random], Any]:
        def run(draw: Random) -> None:
            with orm.Session(engine) as session:
                work(session, draw)
                session.commit()

        return run

    def shelf(session: Any, draw: Random, *options: Any) -> Any:
        """The one list that most pages of the catalogue share, whatever they then show of it."""
        query = sa.select(Book).where(Book.year >= draw.randint(1950, 2000)).order_by(Book.title, Book.isbn)
        return session.scalars(query.limit(draw.randint(5, 30)).options(*options)).all()

    def newest(session: Any, draw: Random, *options: Any) -> Any:
        query = sa.select(Book).where(Book.subject_id > draw.randint(0, 150)).order_by(Book.year.desc(), Book.isbn)
        return session.scalars(query.limit(draw.randint(5, 30)).options(*options)).all()

    def loans(session: Any, draw: Random, *options: Any) -> Any:
        query = sa.select(Loan).where(Loan.returned.is_(None), Loan.loan_id > draw.randint(1, 8000))
        return session.scalars(
            query.order_by(Loan.due, Loan.loan_id).limit(draw.randint(6, 40)).options(*options)
        ).all()

    def opinions(session: Any, draw: Random, *options: Any) -> Any:
        query = sa.select(Review).where(Review.stars == draw.randint(1, 5)).order_by(Review.review_id.desc())
        return session.scalars(query.offset(draw.randint(0, 900)).limit(draw.randint(8, 30)).options(*options)).all()

    def each(rows: Any, ask: Callable[[Any], Any], session: Any) -> list[Any]:
        return [session.scalar(ask(row)) for row in rows]

    def remind(session: Any, draw: Random) -> None:
        for loan in loans(session, draw):
            session.add(Reminder(loan_id=loan.loan_id, note="overdue"))
            session.flush()

    def give_back(session: Any, draw: Random) -> None:
        for loan in loans(session, draw)[:15]:
            loan.due = sa.func.current_date()
            session.flush()

    def broader(session: Any, draw: Random) -> None:
        node = session.get(Book, f"isbn{draw.randint(1, 2000)}").subject
        while node is not None:
            node = node.broader

    def enrol(session: Any, draw: Random) -> None:
        card = f"new{draw.getrandbits(60)}"
        if session.scalar(sa.select(Member.member_id).where(Member.card == card)) is None:
            session.add(Member(card=card, full_name="new"))

    def borrower(session: Any, draw: Random) -> None:
        member = session.scalar(sa.select(Member).where(Member.card == f"card{draw.randint(1, 900)}"))
        session.scalars(sa.select(Loan).where(Loan.member_id == member.member_id)).all()

    def book_page(session: Any, draw: Random) -> None:
        book = session.get(Book, f"isbn{draw.randint(1, 2000)}")
        _ = book.subject.label, list(book.writers), list(book.copies)

    def desk(session: Any, draw: Random) -> None:
        """Somebody logs in by number, and one loan is looked at."""
        session.get(Member, draw.randint(1, 900))
        loan = session.get(Loan, draw.randint(1, 9000))
        _ = loan.copy.book.title

    every = orm.selectinload
    one = orm.joinedload
    work: dict[str, Callable[[Any, Random], Any]] = {
        "bad_subject": lambda session, draw: [book.subject.label for book in shelf(session, draw)],
        "bad_writers": lambda session, draw: [list(book.writers) for book in shelf(session, draw)],
        "bad_copies": lambda session, draw: [list(book.copies) for book in newest(session, draw)],
        "bad_overdue": lambda session, draw: [loan.copy.book.title for loan in loans(session, draw)],
        "bad_borrower": lambda session, draw: [loan.member.full_name for loan in loans(session, draw)],
        "bad_fines": lambda session, draw: each(
            loans(session, draw),
            lambda row: sa.select(sa.func.sum(Fine.cents)).where(Fine.loan_id == row.loan_id),
            session,
        ),
        "bad_stars": lambda session, draw: each(
            newest(session, draw),
            lambda row: sa.select(sa.func.avg(Review.stars)).where(Review.isbn == row.isbn),
            session,
        ),
        "bad_reviewer": lambda session, draw: [review.member for review in opinions(session, draw)],
        "bad_holds": lambda session, draw: each(
            shelf(session, draw),
            lambda row: sa.select(sa.func.count()).select_from(Hold).where(Hold.isbn == row.isbn),
            session,
        ),
        "bad_reminders": remind,
        "bad_returns": give_back,
        "bad_broader": broader,
        "good_subject": lambda session, draw: shelf(session, draw, one(Book.subject)),
        "good_writers": lambda session, draw: shelf(session, draw, every(Book.writers)),
        "good_subquery": lambda session, draw: newest(session, draw, orm.subqueryload(Book.copies)),
        "good_overdue": lambda session, draw: loans(session, draw, every(Loan.copy).selectinload(Copy.book)),
        "good_borrower": lambda session, draw: loans(session, draw, one(Loan.member)),
        "good_reviewer": lambda session, draw: opinions(session, draw, every(Review.member)),
        "good_stars": lambda session, draw: session.execute(
            sa.select(Review.isbn, sa.func.avg(Review.stars))
            .where(Review.isbn.in_([book.isbn for book in newest(session, draw)]))
            .group_by(Review.isbn)
        ).all(),
        "good_reminders": lambda session, draw: session.add_all(
            [Reminder(loan_id=loan.loan_id, note="overdue") for loan in loans(session, draw)]
        ),
        "like_titles": lambda session, draw: [book.title for book in shelf(session, draw)],
        "like_due": lambda session, draw: [loan.due for loan in loans(session, draw)],
        "like_borrower": borrower,
        "like_book_page": book_page,
        "like_desk": desk,
        "like_enrol": enrol,
        "like_branch": lambda session, draw: session.execute(
            sa.text("SELECT city FROM branches WHERE branch_no = :no"), {"no": draw.randint(1, 12)}
        ).all(),
        "like_narrower": lambda session, draw: session.scalars(
            sa.select(Subject).where(Subject.broader_id == draw.randint(1, 50)).order_by(Subject.label)
        ).all(),
        "like_writer": lambda session, draw: session.get(Writer, draw.randint(1, 600)),
        "like_hold": lambda session, draw: session.add(
            Hold(isbn=f"isbn{draw.randint(1, 2000)}", member_id=draw.randint(1, 900))
        ),
    }
    return {name: request(one) for name, one in work.items()}
