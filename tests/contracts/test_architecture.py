"""What the import contracts of pyproject.toml cannot say: no circles, few imports inside functions, no long files."""

from __future__ import annotations

import ast
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[2]
ROOMS = ("core", "ablations", "studies", "reports")
MOST_LATE = 30
"""Imports inside functions: for the time that a command takes to start, and for optional extras."""

LONGEST = 450
"""Lines of a file of the product, but of `LONG`."""

LONG = {"core/data/rooms.py"}


def circles(imports: dict[str, frozenset[str]]) -> list[set[str]]:
    """The sets of modules each of which leads to each other one."""
    reached: dict[str, set[str]] = {}
    for module in imports:
        ahead, seen = [module], set[str]()
        while ahead:
            for other in imports.get(ahead.pop(), ()):
                if other not in seen:
                    seen.add(other)
                    ahead.append(other)
        reached[module] = seen
    found = [{other for other in seen if module in reached.get(other, ())} for module, seen in reached.items()]
    return [circle for circle in found if circle]


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = grimp.build_graph(*ROOMS)
    imports = {module: frozenset(graph.find_modules_directly_imported_by(module)) for module in graph.modules}
    assert len(imports) > 150
    assert circles(imports) == []
    assert circles({"a": frozenset("b"), "b": frozenset("c"), "c": frozenset("a"), "d": frozenset("a")})


def test_few_imports_wait_inside_functions() -> None:
    late = 0
    for room in ROOMS:
        for file in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_bytes())):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    late += sum(isinstance(inner, ast.Import | ast.ImportFrom) for inner in ast.walk(node))
    assert late <= MOST_LATE, late


def test_no_file_is_long() -> None:
    lines = {
        file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8").count("\n")
        for room in ROOMS
        for file in (ROOT / room).rglob("*.py")
    }
    assert {name for name, count in lines.items() if count > LONGEST} == LONG
