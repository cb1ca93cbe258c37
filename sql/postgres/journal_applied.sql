-- Which of the steps in %(fingerprints)s were applied and not taken back since.
select distinct fingerprint from dbtune.step where status = 'applied' and fingerprint = any (%(fingerprints)s::text[])
