"""The sample: a media backend with the flaws that such a system has. It knows nothing of dbtune."""
