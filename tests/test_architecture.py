"""The house stays as CONTRIBUTING.md draws it: imports run one way, no circles, small modules."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from statistics import median

import pytest
from support import ROOT

BASE = {"errors", "records", "config", "plugins", "redaction", "secret_patterns"}
MODELS = {"geometry", "llms", "embedders"}
KEPT = {"agents", "formats", "stores"}

# What each room may import, beside itself.
MAY_IMPORT = {
    "errors": {"records"},
    "secret_patterns": set(),
    "plugins": {"errors"},
    "redaction": {"secret_patterns"},
    "records": set(),
    "config": {"errors", "records"},
    "geometry": set(),
    "llms": BASE,
    "embedders": BASE | {"geometry", "llms"},
    "agents": BASE | {"geometry", "llms"},
    "stores": BASE | {"geometry"},
    "formats": BASE | {"stores"},
    "graph": BASE | MODELS | KEPT,
    "jobs": BASE | MODELS | KEPT | {"graph"},
    "views": BASE | {"formats", "jobs", "stores"},
    "api": BASE | MODELS | KEPT | {"graph", "jobs", "views"},
    "commands": BASE | MODELS | KEPT | {"api", "graph", "jobs", "views"},
    "cli": BASE | {"commands", "views"},
    "__main__": {"cli"},
}
LONGEST, MEDIAN = 400, 120  # lines of a module


def modules():
    """Path of each of the product's modules, by its dotted name below the package."""
    found = {}
    for room in MAY_IMPORT:
        folder = ROOT / room
        for path in [*folder.rglob("*.py"), folder.with_suffix(".py")]:
            if path.is_file():
                parts = path.relative_to(ROOT).with_suffix("").parts
                found[".".join(parts).removesuffix(".__init__")] = path
    return found


FILES = modules()


def imported(name):
    """The modules of the package that a module imports, wherever the line stands in it."""
    path = FILES[name]
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            origin = ".".join([*base, *(node.module or "").split(".")]).rstrip(".")
            for alias in node.names:
                inner = f"{origin}.{alias.name}".lstrip(".")
                found.add(inner if inner in FILES else origin)
    return found & FILES.keys() - {name}


GRAPH = {name: imported(name) for name in FILES}


def test_every_room_is_in_the_wheel_and_every_module_in_a_room():
    rooms = {path.name for path in ROOT.iterdir() if (path / "__init__.py").is_file()}
    modules = {path.stem for path in ROOT.glob("*.py")}
    aside = {"tests", "benchmarks", "docs", "examples", "scripts", "__init__"}
    assert rooms | modules - aside <= MAY_IMPORT.keys() | aside
    named = (ROOT / "pyproject.toml").read_text(encoding="utf-8").split("only-include = [")[1]
    for room in MAY_IMPORT:
        assert f'"{room}"' in named or f'"{room}.py"' in named or not (ROOT / room).exists()


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_imports_run_one_way(room):
    wrong = [
        f"{name} imports {other}"
        for name, others in GRAPH.items()
        for other in sorted(others)
        if name.split(".")[0] == room and other.split(".")[0] not in MAY_IMPORT[room] | {room}
    ]
    assert not wrong


def test_no_modules_import_each_other_in_a_circle():
    # A package's face hands on the names of its own modules; it is no room of its own.
    faces = {name for name, path in FILES.items() if path.name == "__init__.py"}
    graph = {
        name: {other for other in others if not (other in faces and name.startswith(f"{other}."))}
        for name, others in GRAPH.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def test_modules_are_small():
    lengths = {
        name: len(path.read_text(encoding="utf-8").splitlines())
        for name, path in FILES.items()
        if path.name != "__init__.py"
    }
    assert {name: n for name, n in lengths.items() if n > LONGEST} == {}
    assert median(lengths.values()) < MEDIAN


def test_stores_and_agents_know_nothing_of_the_graph_library():
    for name, path in FILES.items():
        if name.split(".")[0] in {"agents", "geometry", "stores", "formats", "llms", "embedders"}:
            assert "langgraph" not in Path(path).read_text(encoding="utf-8").split('"""', 2)[2]
