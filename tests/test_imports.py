"""Who may import whom: read from the sources, so that no import has to run."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

import lrc_numba

PACKAGE = Path(lrc_numba.__file__).parent
# Loose at the top of the package.
FACE = ("convolution", "plan", "gradient", "arguments", "files", "warm")
HIGHER = ("networks", "training", "nbody", "electrostatics", "md", "distributed")
PLAN = ("convolution", "gradient", "plan", "planning")
# Of the machine, layers above the engine may use decorators, threads, vectors, memory and signals, no more.
INSIDE = (
    "machine.backends",
    "machine.cuda",
    *(f"machine.cpu.{name}" for name in ("arrays", "lanes", "spin_wait", "vectors")),
)
# The folder that imports: what it must not import.
NEVERS = {
    "machine": ("engine", "multipliers", "geometry", "arguments", "files", "direct", *PLAN, *HIGHER),
    "geometry": ("engine", "multipliers", "direct", *PLAN, *HIGHER),
    "multipliers": ("engine", "direct", *PLAN, *HIGHER),
    "engine": ("direct", "arguments", *PLAN, *HIGHER),
    "planning": ("plan", "convolution", "direct", *HIGHER),
    "gradient": ("engine", "planning", "plan", "convolution", "direct", *HIGHER),
    "networks": ("engine", "planning", *INSIDE, "training", "nbody"),
    "electrostatics": ("engine", "planning", *INSIDE, "networks", "training", "nbody", "md", "distributed"),
    "training": ("engine", "planning", *INSIDE),
    "nbody": ("engine", "planning", "networks", "training"),
    "distributed": ("machine", "training", "nbody", "md", "direct"),
    "md": ("engine", "planning", *INSIDE, "training", "nbody"),
    "convolution": HIGHER,
    "plan": HIGHER,
    "direct": ("engine", "planning", "plan", "convolution", *HIGHER),
}


def _module(path: Path) -> list[str]:
    parts = list(path.relative_to(PACKAGE).with_suffix("").parts)
    return parts[:-1] if parts[-1] == "__init__" else parts


def _imports(path: Path) -> set[str]:
    """Modules of this package that a file imports, anywhere in it, by their names without ``lrc_numba.``."""
    package, result = _module(path), set()
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            result |= {alias.name.removeprefix("lrc_numba.") for alias in node.names if "lrc_numba" in alias.name}
        elif isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").startswith("lrc_numba")):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = [*above, *([node.module.removeprefix("lrc_numba").lstrip(".")] if node.module else [])]
            result |= {".".join(filter(None, [*base, alias.name])) for alias in node.names}
    return result


def _is_in(module: str, folder: str) -> bool:
    return module == folder or module.startswith(folder + ".")


@cache
def _all_imports() -> dict[str, set[str]]:
    return {".".join(_module(path)): _imports(path) for path in sorted(PACKAGE.rglob("*.py"))}


@pytest.mark.parametrize("folder", NEVERS)
def test_nobody_imports_upward(folder):
    """No module of a folder imports what is above it."""
    wrong = [
        f"{module} imports {target}"
        for module, targets in _all_imports().items()
        if _is_in(module, folder)
        for target in targets
        for never in NEVERS[folder]
        if _is_in(target, never)
    ]
    assert not wrong


def test_imports_are_read():
    """The reading itself: a relative import of a module, one of a name, and one of a name from two folders up."""
    assert "engine.operator.Operator" in _all_imports()["plan"]
    assert "machine.cpu.compile.kernel" in _all_imports()["engine.spreading.cpu"]
    assert "multipliers.multiplier.Multiplier" in _all_imports()["multipliers"]


def test_only_the_face_is_loose():
    """At the top of the package there is what a user calls, and nothing else."""
    loose = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert loose == set(FACE)


def _folder(module: str) -> str:
    """The folder that a module, or a name in it, lies in; the top of the package is none."""
    while module and not (PACKAGE / Path(*module.split("."))).is_dir():
        module = module.rpartition(".")[0]
    return module


def test_there_is_no_circle_of_folders():
    """Folders import each other in one direction only; what a folder gathers from its own subfolders is no arrow."""
    arrows = {(_folder(module), _folder(target)) for module, targets in _all_imports().items() for target in targets}
    arrows = {(a, b) for a, b in arrows if a and b and not _is_in(a, b) and not _is_in(b, a)}
    assert arrows
    assert not {(a, b) for a, b in arrows if (b, a) in arrows}


def _file(target: str) -> str:
    """The module that a target is, or a name in it."""
    while target and target not in _all_imports():
        target = target.rpartition(".")[0]
    return target


def test_no_two_modules_of_electrostatics_import_each_other():
    """Not for types either: what two of them share is in a third."""
    arrows = {(module, _file(target)) for module, targets in _all_imports().items() for target in targets}
    arrows = {(a, b) for a, b in arrows if a != b and _is_in(a, "electrostatics") and _is_in(b, "electrostatics")}
    assert arrows
    assert not {(a, b) for a, b in arrows if (b, a) in arrows}
