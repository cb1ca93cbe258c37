"""Use cases: the only place where servers and judgement meet."""
