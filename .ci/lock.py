"""Prints what dbtune needs to run, to be built and to be developed, from pyproject.toml: the input of `make lock`."""

from __future__ import annotations

import tomllib
from pathlib import Path


def main() -> None:
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    own = f"{project['project']['name']}["
    print(
        *project["build-system"]["requires"],
        *project["project"]["dependencies"],
        *(line for lines in extras.values() for line in lines if not line.startswith(own)),
        *project["dependency-groups"]["dev"],
        sep="\n",
    )


if __name__ == "__main__":
    main()
