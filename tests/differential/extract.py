"""Finds the Python programs in a document: fenced blocks, reStructuredText code blocks, bare code.

A fragment is made whole where that is possible: it gets the imports and earlier definitions that it
uses, a coroutine `main` that nobody runs is run, and `await` outside of a function gets one around it.
"""

import ast
import builtins
import re
import textwrap
from dataclasses import dataclass

_FENCE = re.compile(r"^(?P<margin>[ \t]*)(?P<fence>```+|~~~+)\s*(?P<language>[\w+-]*)")
_DIRECTIVE = re.compile(r"^(?P<margin>\s*)\.\. (code|code-block|sourcecode|ipython|testcode)::\s*(?P<language>\w*)")
_CODE_START = re.compile(r"^(import |from \w+ import |async def |def |class |@\w)")
_PYTHON = {"", "py", "python", "python3", "pycon", "pyi", "asyncio"}

#: Modules that documents use without importing them.
_MODULES = {
    "asyncio", "collections", "concurrent", "contextlib", "contextvars", "datetime", "functools", "inspect",
    "itertools", "logging", "math", "os", "queue", "random", "signal", "socket", "sys", "threading", "time",
}  # fmt: skip


@dataclass(frozen=True)
class Block:
    """A piece of a document that may be a program."""

    line: int
    text: str


@dataclass(frozen=True)
class Program:
    line: int
    source: str


def blocks(text):
    """All pieces of code in the order of the document."""
    lines = text.expandtabs(4).splitlines()
    found = []
    index = 0
    while index < len(lines):
        if fence := _FENCE.match(lines[index]):
            end = _end_of_fence(lines, index + 1, fence["fence"])
            if fence["language"].lower() in _PYTHON:
                found.append(_block(lines, index + 1, end))
            index = end + 1
        elif directive := _DIRECTIVE.match(lines[index]):
            end = _end_of_indented(lines, index + 1, len(directive["margin"]))
            if directive["language"].lower() in _PYTHON:
                found.append(_block(lines, index + 1, end))
            index = end
        elif _CODE_START.match(lines[index]):
            end = _end_of_bare(lines, index)
            found.append(_block(lines, index, end))
            index = end
        else:
            index += 1
    return found


def _end_of_fence(lines, index, fence):
    while index < len(lines) and not lines[index].strip().startswith(fence):
        index += 1
    return index


def _end_of_indented(lines, index, margin):
    while index < len(lines):
        line = lines[index]
        if line.strip() and len(line) - len(line.lstrip()) <= margin:
            break
        index += 1
    return index


def _end_of_bare(lines, index):
    """Code without any mark around it goes on for as long as what there is can be parsed."""
    end = index + 1
    best = end
    while end <= len(lines) and end - index < 200:
        if _parses("\n".join(lines[index:end])):
            best = end
        elif end < len(lines) and lines[end - 1].strip() and not lines[end - 1].startswith((" ", "@", ")", "]", "}")):
            if end - best > 3:
                break
        end += 1
    return best


def _block(lines, start, end):
    return Block(start + 1, _without_prompts(textwrap.dedent("\n".join(lines[start:end]))))


def _without_prompts(text):
    """Takes the prompts of an interactive session away, and what the session printed."""
    if not re.search(r"^\s*>>> ", text, re.M):
        return text
    kept = []
    in_session = False
    for line in text.splitlines():
        if match := re.match(r"^\s*(>>>|\.\.\.) ?(.*)$", line):
            in_session = True
            kept.append(match[2])
        elif not in_session or not line.strip():
            in_session = in_session and bool(line.strip())
            kept.append(line)
    return "\n".join(kept)


def _parses(text):
    try:
        return _tree(text)
    except (SyntaxError, ValueError):
        return None


def _tree(text):
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    return compile(text, "<document>", "exec", flags, dont_inherit=True)


def programs(text):
    """The programs of a document. What cannot be parsed, or does nothing, is none."""
    known = {}
    for block in blocks(text):
        tree = _parses(block.text)
        if tree is None or not tree.body:
            continue
        source = _whole(tree, known)
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                known[node.name] = node
        if source is not None:
            yield Program(block.line, source)


def _whole(tree, known):
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
    statements = [node for node in tree.body if not isinstance(node, definitions)]
    body = list(tree.body)
    if all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant | ast.Name) for node in statements):
        main = next(
            (node for node in tree.body if isinstance(node, ast.AsyncFunctionDef) and node.name == "main"), None
        )
        if main is None or main.args.args:
            return None
        body.append(ast.parse("asyncio.run(main())").body[0])
    elif any(_awaits(node) for node in statements):
        body = [_around(body), ast.parse("asyncio.run(_document())").body[0]]
    prelude = _prelude(body, known)
    module = ast.Module(body=[*prelude, *body], type_ignores=[])
    return ast.unparse(ast.fix_missing_locations(module))


def _around(body):
    function = ast.parse("async def _document():\n    pass").body[0]
    function.body = body
    return function


def _awaits(node):
    """Whether a statement awaits outside of any function in it."""
    if isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith):
        return True
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
        return False
    return any(_awaits(child) for child in ast.iter_child_nodes(node))


def _prelude(body, known):
    """Imports and earlier definitions for the names that a program uses and does not define."""
    needed = []
    imports = []
    waiting = list(body)
    seen = set()
    while waiting:
        used, bound = _names(waiting)
        waiting = []
        for name in sorted(used - bound - seen):
            seen.add(name)
            if name in known:
                needed.append(known[name])
                waiting.append(known[name])
            elif name in _MODULES and not hasattr(builtins, name):
                imports.append(ast.parse(f"import {name}").body[0])
                if name == "concurrent":
                    imports.append(ast.parse("import concurrent.futures").body[0])
    return [*imports, *needed]


def _names(body):
    used, bound = set(), set()
    for node in ast.walk(ast.Module(body=list(body), type_ignores=[])):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            bound.update((alias.asname or alias.name).partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
    return used, bound


class Scale(ast.NodeTransformer):
    """Multiplies the waiting times written in a program."""

    def __init__(self, factor):
        self.factor = factor

    def visit_Call(self, node):
        self.generic_visit(node)
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        position = {"sleep": 0, "timeout": 0, "call_later": 0, "wait_for": 1}.get(name)
        if position is not None and len(node.args) > position:
            node.args[position] = self.scaled(node.args[position])
        for keyword in node.keywords:
            if keyword.arg in {"timeout", "delay"}:
                keyword.value = self.scaled(keyword.value)
        return node

    def visit_BinOp(self, node):
        """A deadline, `loop.time() + 5`, is scaled as well."""
        self.generic_visit(node)
        if isinstance(node.op, ast.Add) and isinstance(node.right, ast.Constant):
            if isinstance(node.left, ast.Call) and getattr(node.left.func, "attr", "") == "time":
                node.right = self.scaled(node.right)
        return node

    def scaled(self, node):
        # What is no constant is left to multiply at run time; None and text stay as they are.
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            return ast.copy_location(ast.Constant(node.value * self.factor), node)
        if isinstance(node, ast.Constant):
            return node
        return ast.copy_location(
            ast.Call(ast.Name("_scaled", ast.Load()), [node, ast.Constant(self.factor)], []), node
        )


_PREAMBLE = '''
import random as _random
_random.seed(0)


def _scaled(seconds, factor):
    return seconds * factor if isinstance(seconds, (int, float)) else seconds

'''


def scaled(source, factor):
    """The program with its waiting times multiplied by `factor`, and the same random numbers always."""
    tree = ast.fix_missing_locations(Scale(factor).visit(ast.parse(source)))
    return _PREAMBLE + ast.unparse(tree)
