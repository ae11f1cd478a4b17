"""The syntax tree of a file, or of one definition in it: `path.py:Name` is that definition with all it needs."""

import ast
from pathlib import Path


def parse(path: Path) -> ast.Module:
    """Parse a file; of `path.py:Name` keep the statement that defines the name, and those it needs, imports included.

    Where the name is not defined, nothing is left.
    """
    tree = ast.parse(file_of(path).read_text(encoding="utf-8"))
    name = path.name.partition(":")[2]
    return ast.Module(_definition(tree.body, name), []) if name else tree


def file_of(path: Path) -> Path:
    """Return the file that a path stands for, in whole or in part."""
    return path.with_name(path.name.partition(":")[0])


def _definition(body: list[ast.stmt], name: str) -> list[ast.stmt]:
    """Keep the statements that a name needs, in their order; an import keeps the names that are needed."""
    defined = {one: statement for statement in body for one in _names(statement)}
    needed: set[str] = set()
    todo = {name} & {*defined}
    while todo:
        one = todo.pop()
        needed.add(one)
        used = {node.id for node in ast.walk(defined[one]) if isinstance(node, ast.Name)}
        todo |= (used & {*defined}) - needed
    kept: list[ast.stmt] = []
    for statement in body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            names = [alias for alias in statement.names if (alias.asname or alias.name) in needed]
            if names and isinstance(statement, ast.ImportFrom):
                kept.append(ast.ImportFrom(statement.module, names, statement.level))
            elif names:
                kept.append(ast.Import(names))
        elif needed & _names(statement):
            kept.append(statement)
    return kept


def _names(statement: ast.stmt) -> set[str]:
    """List the names that a statement of a module defines."""
    if isinstance(statement, ast.ClassDef | ast.FunctionDef):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name for alias in statement.names}
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return {target.id for target in targets if isinstance(target, ast.Name)}
