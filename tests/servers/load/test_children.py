"""Programs under their keeper, real ones."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from patience import until

from dbtune.servers.load.children import Child, running


@contextmanager
def shell(script: str, place: Path) -> Iterator[Child]:
    """A script of the shell, which may read from `gate`."""
    os.mkfifo(place / "gate")
    words, nothing = ["sh", "-c", script], place / "nothing"
    with running(words, place, remove=nothing, environment=os.environ, output=subprocess.DEVNULL) as child:
        yield child


def test_a_status_is_known_once_the_program_has_ended_and_not_before(tmp_path: Path) -> None:
    with shell("read word < gate; echo $word >&2; exit 7", tmp_path) as child:
        assert child.wait(0.01) is None
        (tmp_path / "gate").write_text("done\n")
        assert child.wait(60) == 7
        assert list(child.said) == ["done"]


def test_what_a_program_leaves_behind_does_not_hide_its_end(tmp_path: Path) -> None:
    with shell("cat gate & exit 7", tmp_path) as child:
        # The one left behind holds standard error open.
        until(lambda: child.wait(0.05) == 7, "the program ends")
        (tmp_path / "gate").write_text("")
