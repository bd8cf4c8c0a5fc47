"""The strata of docs/design.md: imports go downward only, and no module waits for itself."""

import ast
from pathlib import Path

import pytest

from tests.conftest import collect_ignore

SOURCE = Path(__file__).parents[1] / "src" / "foveal"

# Rooms of one stratum may import each other (cycles are a test of their own) and everything below.
STRATA = [
    {"errors", "geometry"},  # and private modules beside them, _version.py: helpers that any room may use
    {"reference", "kernels"},
    {"ops"},
    {"layers", "graph"},
    {"accounting"},
    {"engine"},
    {"network"},
    {"models", "training", "data", "show", "images", "interop", "bench", "study", "cli", "__main__"},
]
LEVEL = {room: level for level, rooms in enumerate(STRATA) for room in rooms}
ROOF = len(STRATA)  # foveal/__init__.py, the public door, sees everything


def room(module):
    """Return the room of "foveal.layers.base": "layers"; of "foveal" itself the roof."""
    return module.split(".")[1] if "." in module else "__init__"


def level(module):
    if "." not in module:
        return ROOF
    private = room(module).startswith("_") and not room(module).endswith("__")
    return 0 if private else LEVEL.get(room(module), ROOF)


def module_name(path, source):
    parts = ["foveal", *path.relative_to(source).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def scan(source):
    """Return {module: [(imported module, inside a function, line)]} for every file under `source`."""
    files = {module_name(path, source): path for path in sorted(source.rglob("*.py"))}
    return {name: list(imports(name, path, files)) for name, path in files.items()}


def imports(name, path, known):
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    lazy = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or _is_type_checking(node):
            lazy.update(id(child) for child in ast.walk(node))
    for node in ast.walk(tree):
        for target in _targets(node, package, known):
            if target.split(".")[0] == "foveal":
                yield target, id(node) in lazy, node.lineno


def _is_type_checking(node):
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def _targets(node, package, known):
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module or ""
    if node.level:
        above = package.split(".")[: len(package.split(".")) - node.level + 1]
        base = ".".join([*above, base] if base else above)
    # "from foveal import ops" imports the module foveal.ops; "from foveal.errors import explain" a name of a module.
    modules = {*known, *(f"foveal.{name}" for name in LEVEL)}
    return [f"{base}.{alias.name}" if f"{base}.{alias.name}" in modules else base for alias in node.names]


def upward(graph):
    """Return the imports that go upward, as "file:line imports module"."""
    return [
        f"{name}:{line} imports {target}"
        for name, targets in graph.items()
        for target, _, line in targets
        if level(target) > level(name) and room(target) != room(name)
    ]


def cycle(graph):
    """Return the modules of one import cycle at module level, or []; what functions import does not count here."""
    edges = {name: {t for t, lazy, _ in targets if not lazy and t != name} for name, targets in graph.items()}
    done = set()

    def visit(name, path):
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        for target in sorted(edges.get(name, ())):
            found = visit(target, [*path, name])
            if found:
                return found
        done.add(name)
        return []

    return next((found for name in sorted(edges) if (found := visit(name, []))), [])


@pytest.fixture(scope="module")
def graph():
    return scan(SOURCE)


def test_every_room_has_a_stratum(graph):
    rooms = {room(name) for name in graph if not room(name).startswith("_")}
    assert rooms <= set(LEVEL), f"rooms without a stratum: {rooms - set(LEVEL)}"


def test_imports_go_downward_only(graph):
    assert upward(graph) == []
    assert sum(len(targets) for targets in graph.values()) > 20, "the scan found hardly any imports: is it blind?"


def test_no_import_cycles(graph):
    assert cycle(graph) == []


def test_reference_and_geometry_stay_what_they_say():
    allowed = {"geometry.py": {"foveal", "operator"}, "reference": {"foveal", "numpy"}}
    standard = {"__future__", "collections", "dataclasses", "typing"}
    for place, names in allowed.items():
        path = SOURCE / place
        for file in [path] if path.is_file() else path.rglob("*.py"):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            found = {
                (node.module if isinstance(node, ast.ImportFrom) else alias.name).split(".")[0]
                for node in ast.walk(tree)
                if isinstance(node, ast.Import | ast.ImportFrom)
                for alias in node.names
            }
            assert found <= names | standard, f"{file.name} imports {found - names - standard}"


def test_the_test_can_fail(tmp_path):
    for name, text in {
        "__init__.py": "",
        "geometry.py": "def f():\n    from foveal import ops\n",
        "ops/__init__.py": "from .a import g\n",
        "ops/a.py": "from foveal.ops import b\nimport foveal.layers.base\n",
        "ops/b.py": "from . import a\nfrom foveal.errors import explain\n",
        "errors.py": "",
        "layers/__init__.py": "",
        "layers/base.py": "from ..ops import a\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    graph = scan(tmp_path)
    assert upward(graph) == [
        "foveal.geometry:2 imports foveal.ops",
        "foveal.ops.a:2 imports foveal.layers.base",
    ]
    assert cycle(graph) == ["foveal.layers.base", "foveal.ops.a", "foveal.layers.base"]
    (tmp_path / "ops" / "a.py").write_text("")
    assert cycle(scan(tmp_path)) == []


def test_tests_are_collected_without_the_peers():
    """`make test` installs no PyTorch: a test that compares with it is skipped there, and must not fail to import."""
    peers, tests = {"torch", "torchvision", "cv2"}, Path(__file__).parent
    ignored = {tests / name for name in collect_ignore}
    for path in set(tests.rglob("*.py")) - ignored:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = (
                [a.name for a in node.names] if isinstance(node, ast.Import) else [getattr(node, "module", None) or ""]
            )
            assert not peers & {name.partition(".")[0] for name in names}, path
