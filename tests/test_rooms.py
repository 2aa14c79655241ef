import ast
import subprocess
import sys
import tokenize
from pathlib import Path

from postergenre import paths

FLOOR = {
    "errors": 1, "paths": 1, "genres": 1, "pictures": 1, "reading": 1, "web": 1, "alterations": 1,
    "tmdb": 2, "imdb": 2, "corpus": 2, "films": 2, "parameters": 2,
    "batches": 3, "architectures": 3, "training": 3, "layers": 3, "maps": 3,
    "metrics": 3.5, "figures": 3.5, "baselines": 3.5, "appearance": 3.5, "findings": 3.5,
    "classifier": 4, "demo": 4, "sources": 4.5, "claims": 4.5,
    "study": 5, "book": 5, "server": 5, "__main__": 6,
}  # fmt: skip
KERAS = {"batches", "architectures", "training", "layers", "maps", "classifier"}
HEAVY = {"tensorflow", "keras"}


def imports(path: Path) -> set[str]:
    """Return the rooms of the package, and the outside modules, that a file imports anywhere."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "postergenre":
            found |= {f"postergenre.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module))
    return found


def rooms() -> dict[Path, str]:
    package = paths.project() / "postergenre"
    files = {
        path: path.relative_to(package).parts[0].removesuffix(".py")
        for path in package.rglob("*.py")
    }
    return {path: room for path, room in files.items() if room != "__init__"}


def test_every_room_has_a_floor() -> None:
    assert set(rooms().values()) == set(FLOOR)


def test_a_room_imports_from_lower_floors_only() -> None:
    upward = []
    for path, room in rooms().items():
        for name in imports(path):
            if not name.startswith("postergenre."):
                continue
            other = name.split(".")[1]
            if other in FLOOR and other != room:
                same_wing = int(FLOOR[other]) == int(FLOOR[room]) == 3 and {room, other} & KERAS
                crossing = same_wing and FLOOR[other] != FLOOR[room]
                if FLOOR[other] > FLOOR[room] or crossing:
                    upward.append(f"{room} -> {other}")
    assert upward == []


def test_tensorflow_and_keras_live_in_their_rooms_only() -> None:
    for path, room in rooms().items():
        used = {name.split(".")[0] for name in imports(path)} & HEAVY
        assert not used or room in KERAS, path


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = ("tensorflow", "pandas", "numpy")
    code = f"import sys, postergenre; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def lines_of_code(path: Path) -> int:
    """Count lines that hold code: no blanks, no comments, no docstrings."""
    idle = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    held: set[int] = set()
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            text = token.type == tokenize.STRING and token.line.strip().startswith(('"""', "'"))
            if token.type not in idle and not text and token.string:
                held |= set(range(token.start[0], token.end[0] + 1))
    return len(held)


def test_the_package_stays_small() -> None:
    lines = sum(lines_of_code(path) for path, room in rooms().items() if room != "demo")
    assert lines < 6100, "something is being rewritten that a library does, or a room holds two"
