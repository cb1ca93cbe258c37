"""PostgreSQL: sessions, packaged SQL, answers to questions, performed actions, the journal."""
