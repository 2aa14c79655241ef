import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import postergenre

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PYTHONS = ("3.11", "3.12")


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def entries() -> list[tuple[Requirement, list[str]]]:
    """Return what the lock pins, each with its hashes."""
    text = re.sub(r"^\s*#.*\n", "", LOCK, flags=re.MULTILINE).replace("\\\n", " ")
    found = []
    for line in filter(str.strip, text.splitlines()):
        parts = line.split("--hash=")
        found.append((Requirement(parts[0].strip()), [part.strip() for part in parts[1:]]))
    return found


def holds(marker: Marker | None, python: str | None = None) -> bool:
    """Say whether a line applies here, or on Linux with another Python."""
    if marker is None:
        return True
    if python is None:
        return marker.evaluate()
    other = {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
        "os_name": "posix",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
    }
    return marker.evaluate(other)


def pinned(python: str | None = None) -> dict[str, str]:
    versions: dict[str, str] = {}
    for wanted, _ in entries():
        if holds(wanted.marker, python):
            name = canonicalize_name(wanted.name)
            assert name not in versions, f"{name} is pinned twice for Python {python}"
            (only,) = wanted.specifier
            assert only.operator == "=="
            versions[name] = only.version
    return versions


def asked_for() -> list[Requirement]:
    about = PROJECT["project"]
    groups = [about["dependencies"], *about["optional-dependencies"].values()]
    return [Requirement(text) for group in groups for text in group]


def test_every_line_of_the_lock_has_hashes() -> None:
    assert len(entries()) > 100
    for wanted, hashes in entries():
        assert hashes, wanted.name
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each) for each in hashes), wanted.name


def test_the_lock_names_no_address_and_no_index() -> None:
    assert re.findall(r"\w+://\S+", LOCK) == []
    assert " @ " not in LOCK
    options = [line for line in LOCK.splitlines() if line.startswith("-")]
    assert options == []


@pytest.mark.parametrize("python", PYTHONS)
def test_every_dependency_is_pinned_to_a_version_it_allows(python: str) -> None:
    versions = pinned(python)
    for wanted in asked_for():
        name = canonicalize_name(wanted.name)
        assert name in versions, f"{name} is not in requirements.lock: make lock"
        assert wanted.specifier.contains(versions[name], prereleases=True), str(wanted)


def test_both_pythons_are_supported_and_no_other() -> None:
    supported = SpecifierSet(PROJECT["project"]["requires-python"])
    assert [f"3.{n}" for n in range(9, 16) if supported.contains(f"3.{n}.1")] == list(PYTHONS)
    tested = read(".github/workflows/test.yml")["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert tested == list(PYTHONS)


def test_what_is_installed_is_what_the_lock_pins() -> None:
    installed = {}
    for name in pinned():
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            installed[name] = "not installed"
    assert installed == pinned()


def test_conda_users_get_the_versions_of_the_lock() -> None:
    wanted = read("environment.yml")["dependencies"]
    (pip,) = [part["pip"] for part in wanted if isinstance(part, dict)]
    assert pip == ["-r requirements.lock"]
    for text in filter(lambda part: isinstance(part, str), wanted):
        name, _, its_version = text.partition("=")
        if name == "python":
            assert its_version in PYTHONS
        else:  # whatever conda brings itself must not stand against the lock
            assert its_version in ("", pinned("3.11").get(name))


def test_the_version_is_the_same_everywhere() -> None:
    told = PROJECT["project"]["version"]
    assert postergenre.__version__ == told
    assert str(read("CITATION.cff")["version"]) == told
    assert version("postergenre") == told


def test_continuous_integration_runs_make_test() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o100
    assert script.read_text().rstrip().endswith("exec make test")
    dry = ["make", "--dry-run", "--no-print-directory", "-o", ".venv/.ready", "test"]
    told = subprocess.run(dry, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    order = [
        "ruff check",
        "ruff format --check",
        "mypy",
        "pytest tests",
        "pytest --nbval",
        "postergenre book",
    ]
    places = [told.index(step) for step in order]
    assert places == sorted(places)


def test_the_command_line_answers_without_loading_anything_heavy() -> None:
    call = (
        "import sys; from postergenre.__main__ import parser; parser().format_help(); "
        "print(*{'papermill', 'tensorflow', 'keras', 'pandas', 'numpy'} & set(sys.modules))"
    )
    told = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == ""
