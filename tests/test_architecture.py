"""What the import contracts of pyproject.toml cannot say: imports run in no circle, and few wait inside functions."""

from __future__ import annotations

import ast
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
ROOMS = ("core", "ablations", "studies", "reports")
MOST_LATE = 135
"""Imports inside functions: for the time that a command takes to start, and for optional extras."""


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
