"""What a person gets who installs the wheel, far away from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(place), str(ROOT)]
    built = subprocess.run(build, capture_output=True, text=True, check=False, timeout=120)
    assert built.returncode == 0, built.stdout + built.stderr
    return next(place.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin directory of an environment with the wheel; its dependencies are seen through a path file."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, with_pip=False)
    python = place / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--disable-pip-version-check", str(wheel)], check=True, timeout=120, cwd=place)
    # Path files inside a directory that a path file names are not read: our own editable install stays out.
    site = next(place.glob("lib/python*/site-packages"))
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n", encoding="utf-8")
    return place / "bin"


def run(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [installed / "dbtune", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=installed,
        env=environment,
    )


def test_the_wheel_holds_every_file_that_is_not_python(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    wanted = {f"dbtune/sql/postgres/{path.name}" for path in (ROOT / "sql/postgres").glob("*.sql")}
    wanted |= {f"dbtune/playbooks/{path.name}" for path in (ROOT / "playbooks").glob("*.yml")}
    wanted |= {
        str(path.relative_to(ROOT / "src"))
        for path in (ROOT / "src").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert wanted <= held
    assert "dbtune/demo/schema.sql" in held
    assert any(name.endswith("licenses/LICENSE") for name in held)


def test_the_wheel_holds_nothing_else(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"dbtune"}


def test_an_installed_dbtune_is_itself_and_not_the_checkout(installed: Path) -> None:
    where = [str(installed / "python"), "-c", "import dbtune; print(dbtune.__file__)"]
    assert str(ROOT) not in subprocess.run(where, capture_output=True, text=True, check=True, cwd=installed).stdout
    assert run(installed, "--version").stdout.startswith("dbtune ")


def test_an_installed_dbtune_validates_the_playbooks_that_came_with_it(installed: Path) -> None:
    playbooks = sorted(installed.parent.glob("lib/python*/site-packages/dbtune/playbooks/*.yml"))
    assert playbooks
    for playbook in playbooks:
        validated = run(installed, "validate", str(playbook))
        assert validated.returncode == 0, validated.stderr
