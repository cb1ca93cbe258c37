from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from dbtune.core.errors import Refused
from dbtune.servers.embedded.accounts import server_account
from dbtune.servers.embedded.places import LONGEST_SOCKET, new_place, own_directory, server_root


def test_a_link_where_our_directory_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "ours").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refused, match="is not ours"):
        own_directory(tmp_path / "ours", 0o700)


def test_a_file_where_our_directory_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ours").touch()
    with pytest.raises(Refused, match="is not ours"):
        own_directory(tmp_path / "ours", 0o700)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a directory that is somebody else's")
def test_a_directory_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir(mode=0o700)
    os.chown(tmp_path / "ours", 65534, 65534)
    with pytest.raises(Refused, match="is not ours"):
        own_directory(tmp_path / "ours", 0o700)


def test_a_directory_of_ours_that_others_may_write_to_is_closed_again(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours").chmod(0o777)
    assert stat.S_IMODE(own_directory(tmp_path / "ours", 0o700).stat().st_mode) == 0o700


def test_a_temporary_directory_with_a_long_name_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    # The real root, which other servers live in: with the account that they have, so that they can go on.
    with new_place(server_account()) as place:
        assert long not in place.directory.parents
        assert len(str(place.directory / ".s.PGSQL.65535")) <= LONGEST_SOCKET
    assert not place.directory.exists()
    assert not place.record.exists()


def test_the_root_of_an_ordinary_user_admits_nobody_else() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="dbtune-test-") as base, pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", base)
        root = server_root(None)
        assert root.parent == Path(base)
        assert stat.S_IMODE(root.stat().st_mode) == 0o700
