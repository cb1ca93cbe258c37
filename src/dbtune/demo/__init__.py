"""The sample: a media backend with the flaws that such a system has. It knows nothing of dbtune.

`load` fills a database, `traffic` drives the endpoints, `endpoints` lists them in their slow and their fast form.
"""
