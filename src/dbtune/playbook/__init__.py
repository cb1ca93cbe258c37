"""From a YAML file to frozen steps that know their line."""
