"""The parameters of the notebooks: which exist, of which kind, and what a user asks for."""

import ast
import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from postergenre.errors import ParameterError, StudyError

# The least and the most that a number may be, where that is not 1 (0 for shares and rates) and all.
LEAST = {
    "seed": 0,
    "minimum_votes": 0,
    "fine_tune_epochs": 0,
    "maps_shown": 0,
    "repeats": 2,
    "height": 48,
    "width": 32,
}
MOST = {"height": 1024, "width": 1024, "tuned_blocks": 3, "validation": 0.5, "test": 0.5}
CHOICES = {"precision": ("float32", "mixed_bfloat16")}  # float16 would need its loss scaled
KINDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "list": "a list",
}


class Parameter(NamedTuple):
    """Hold what a notebook says about one of its parameters."""

    kind: str
    default: Any


def notebooks(folder: Path) -> list[Path]:
    """Return the notebooks of the study in their order."""
    found = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if not found:
        raise StudyError(f"No notebook named like 01_….ipynb in {folder}: is this the checkout?")
    return found


def parameters(paths: Iterable[Path]) -> dict[str, dict[str, Parameter]]:
    """Read names, kinds and defaults from the `parameters` cell of each notebook."""
    from papermill import inspect_notebook

    known: dict[str, dict[str, Parameter]] = {}
    for path in paths:
        known[path.stem] = {}
        for name, found in inspect_notebook(path).items():
            try:
                default = ast.literal_eval(found["default"])
            except (SyntaxError, ValueError):
                raise ParameterError(
                    f"{path.name}: the default of {name} has to be a literal on one line, "
                    f"came {found['default']}."
                ) from None
            kind = found["inferred_type_name"]
            known[path.stem][name] = Parameter(
                kind if kind in KINDS else type(default).__name__, default
            )
    return known


def read_parameters(file: Path) -> dict[str, Any]:
    """Read a YAML file of parameters; a section named after a notebook is for that one only."""
    import yaml

    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ParameterError(
            f"The parameters in {file} cannot be read: {error.strerror}."
        ) from None
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise ParameterError(f"{file} is not YAML: {error}") from None
    if values is not None and not isinstance(values, dict):
        raise ParameterError(f"{file}: expected lines like `epochs: 20`, came {_shown(values)}.")
    return {str(name): value for name, value in (values or {}).items()}


def named(wish: str, names: Sequence[str]) -> str:
    """Return the full name of a notebook given by its name or its number."""
    for name in names:
        if wish == name or (wish.isdecimal() and int(wish) == int(name[:2])):
            return name
    raise ParameterError(f"There is no notebook {wish}. There are: {', '.join(names)}.")


def settle(
    known: Mapping[str, Mapping[str, Parameter]],
    *,
    file: Mapping[str, Any] | None = None,
    given: Sequence[tuple[str, str]] = (),
) -> dict[str, dict[str, Any]]:
    """Return every parameter of every notebook but `run`; `given` (texts) wins over `file`."""
    wishes: list[tuple[str | None, str, Any, bool]] = []
    sections = []
    for name, value in (file or {}).items():
        if isinstance(value, dict):
            sections += [(name, str(inner), wish, False) for inner, wish in value.items()]
        else:
            wishes.append((None, name, value, False))
    wishes += sections
    for name, text in sorted(given, key=lambda wish: "." in wish[0]):
        section, _, inner = name.rpartition(".")
        wishes.append((section or None, inner, text, True))

    values = {
        notebook: {name: about.default for name, about in its.items() if name != "run"}
        for notebook, its in known.items()
    }
    problems: dict[str, None] = {}
    for part, name, value, is_text in wishes:
        label = f"{part}.{name}" if part else name
        try:
            chosen = [named(part, list(known))] if part else list(known)
            holders = [notebook for notebook in chosen if name in values[notebook]]
            if not holders:
                raise ParameterError(_unknown(label, name, known))
            for notebook in holders:
                values[notebook][name] = _typed(label, value, known[notebook][name], is_text)
        except ParameterError as error:
            problems[str(error)] = None
    if problems:
        listed = "\n".join(f"  {notebook}: {_listed(its)}" for notebook, its in known.items())
        raise ParameterError("\n".join(problems) + "\nParameters that exist:\n" + listed)
    return values


def _unknown(label: str, name: str, known: Mapping[str, Mapping[str, Parameter]]) -> str:
    if name == "run":
        return "The run is chosen by --run DIRECTORY, not by a parameter."
    near = difflib.get_close_matches(name, {known for its in known.values() for known in its}, 1)
    return f"There is no parameter {label}." + (f" Did you mean {near[0]}?" if near else "")


def _listed(its: Mapping[str, Parameter]) -> str:
    rows = [
        f"{name} ({KINDS.get(about.kind, about.kind)}, {_shown(about.default)})"
        for name, about in its.items()
        if name != "run"
    ]
    return ", ".join(rows) or "none"


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 40 else text[:36] + " …" + text[-1]


def _typed(label: str, value: Any, about: Parameter, is_text: bool) -> Any:
    """Return the value in the parameter's own type and range, or say what was expected and what came."""
    meant = _in_its_type(label, value, about, is_text)
    name = label.rpartition(".")[2]
    least, most = LEAST.get(name, 0 if about.kind == "float" else 1), MOST.get(name, float("inf"))
    numbers = [n for n in (meant if about.kind == "list" else [meant]) if type(n) in (int, float)]
    if not all(least <= number <= most and number != float("inf") for number in numbers):
        upper = f" to {most}" if name in MOST else " or more"
        raise ParameterError(f"Parameter {label}: expected {least}{upper}, came {value}.")
    if name in CHOICES and meant not in CHOICES[name]:
        names = " or ".join(CHOICES[name])
        raise ParameterError(f"Parameter {label}: expected {names}, came {_shown(value)}.")
    if about.kind == "list" and about.default and not meant:
        raise ParameterError(f"Parameter {label}: expected a list like {_shown(about.default)}.")
    return meant


def _in_its_type(label: str, value: Any, about: Parameter, is_text: bool) -> Any:
    meant = _from_text(value, about.kind) if is_text else value
    if about.kind == "float" and type(meant) is int:
        return float(meant)
    if about.kind not in KINDS:  # None as default, without a type: anything goes
        return meant
    if type(meant).__name__ == about.kind:
        inner = {type(item) for item in about.default} if about.kind == "list" else set()
        strangers = [item for item in meant if type(item) not in inner] if inner else []
        if not strangers:
            return meant
        expected = f"a list like {_shown(about.default)}"
    else:
        expected = f"{KINDS[about.kind]} like {_shown(about.default)}"
    hint = ""
    if about.kind == "float" and isinstance(value, str) and re.fullmatch(r"\d+e[+-]?\d+", value):
        hint = " (YAML takes 1e-3 for text: write 0.001 or 1.0e-3)"
    came = value if is_text else f"{_shown(value)} ({KINDS.get(type(value).__name__, 'nothing')})"
    raise ParameterError(f"Parameter {label}: expected {expected}, came {came}.{hint}")


def _from_text(text: str, kind: str) -> Any:
    """Read a value from the command line; what cannot be read stays text."""
    import yaml

    if kind == "bool":
        return {"true": True, "false": False}.get(text.lower(), text)
    try:
        if kind == "list":
            return yaml.safe_load(text if text.startswith("[") else f"[{text}]")
        return text if kind == "str" else ast.literal_eval(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError, yaml.YAMLError):
        return text
