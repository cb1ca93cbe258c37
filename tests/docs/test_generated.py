from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(path for path in (ROOT, ROOT / "docs") for path in path.glob("*.md"))
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)(?:#[^)]*)?\)")


def test_generated_documents_say_what_the_code_says() -> None:
    checked = subprocess.run(
        [sys.executable, ROOT / "docs/generate.py", "--check"], capture_output=True, text=True, check=False, timeout=60
    )
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("document", DOCUMENTS, ids=[path.name for path in DOCUMENTS])
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for target in LINK.findall(document.read_text(encoding="utf-8")):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_the_readme_s_commands_exist() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for command in re.findall(r"\bmake ([a-z]+)", (ROOT / "README.md").read_text(encoding="utf-8")):
        assert command in targets


def test_the_readme_s_playbook_is_valid(tmp_path: Path) -> None:
    found = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert found
    for number, text in enumerate(found):
        playbook = tmp_path / f"{number}.yml"
        playbook.write_text(text, encoding="utf-8")
        validate = [sys.executable, "-m", "dbtune", "validate", str(playbook)]
        checked = subprocess.run(validate, capture_output=True, text=True, check=False, timeout=60)
        assert checked.returncode == 0, checked.stderr


def test_the_lock_names_exact_versions_and_no_registry() -> None:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.!+]+", line) for line in lines)


def test_the_lock_has_everything_that_pyproject_asks_for() -> None:
    from packaging.requirements import Requirement

    asked = subprocess.run(
        [sys.executable, ROOT / ".ci/lock.py"], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60
    ).stdout.splitlines()
    locked = dict(
        line.lower().replace("_", "-").split("==")
        for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    )
    for wanted in map(Requirement, asked):
        version = locked.get(wanted.name.lower().replace("_", "-"))
        assert version is not None, f"{wanted} is not in requirements.lock: run `make lock`"
        assert wanted.specifier.contains(version, prereleases=True), f"{version} is not {wanted}: run `make lock`"
