"""Turn templates/*.j2 into Python functions: cli/homeport/manifests/compiled.py; `--check` only says whether it is stale.

Importing Jinja and compiling the templates would cost a run more than all else that `render` does. Jinja still reads the
templates, here; what they use of it is little (values, conditions, loops, macros, five filters), and anything else is
refused. A test renders every kind of object both ways.

python scripts/compile_templates.py [--check]
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from jinja2 import Environment, nodes

ROOT = Path(__file__).resolve().parents[1]
TEMPLATES = ROOT / "templates"
TARGET = ROOT / "cli" / "homeport" / "manifests" / "compiled.py"

HEAD = '''"""The templates as functions: made by scripts/compile_templates.py from templates/*.j2, not to be changed by hand."""

# ruff: noqa
# fmt: off
from collections.abc import Callable
from typing import Any

from homeport.manifests.yamltext import block, comment, indented, scalar
'''

OPERATORS = {"eq": "==", "ne": "!=", "in": "in", "notin": "not in", "gt": ">", "lt": "<"}
# a filter of the templates -> the function that does it; all give text
FILTERS = {"yaml": "scalar", "block": "block", "comment": "comment", "indent": "indented"}


class NotKnownError(Exception):
    """A template uses something of Jinja that is not compiled."""


def environment() -> Environment:
    """Jinja as the templates are written for it: blocks leave no blank lines."""
    return Environment(trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, autoescape=False)


class Template:
    """One file: its macros, and what it imports of other files."""

    def __init__(self, path: Path) -> None:
        """Read and parse the file."""
        self.stem = path.name.split(".")[0]
        self.tree = environment().parse(path.read_text("utf-8"), path.name)
        self.functions: dict[str, str] = {}

    def lines(self) -> Iterator[str]:
        """The functions of this file, macros first."""
        body: list[nodes.Node] = []
        for node in self.tree.body:
            if isinstance(node, nodes.FromImport):
                other = str(node.template.value).split(".")[0]  # type: ignore[attr-defined]
                self.functions |= {str(name): f"_{other}_{name}" for name in node.names}
            elif isinstance(node, nodes.Macro):
                self.functions[node.name] = f"_{self.stem}_{node.name}"
                yield from self._macro(node)
            elif not (isinstance(node, nodes.Output) and _is_blank(node)):
                body.append(node)
        if body:
            yield from self._function(f"_{self.stem}", "v: Any", body)

    def _macro(self, macro: nodes.Macro) -> Iterator[str]:
        needed = len(macro.args) - len(macro.defaults)
        defaults = [None] * needed + [self.value(d) for d in macro.defaults]
        args = ", ".join(
            f"{a.name}: Any" + (f" = {d}" if d is not None else "")
            for a, d in zip(macro.args, defaults, strict=True)
        )
        yield from self._function(self.functions[macro.name], args, macro.body)

    def _function(self, name: str, args: str, body: list[nodes.Node]) -> Iterator[str]:
        yield ""
        yield ""
        yield f"def {name}({args}) -> str:"
        yield "    _out: list[str] = []"
        yield from self._statements(body, "    ")
        yield '    return "".join(_out)'

    def _statements(self, body: list[nodes.Node], pad: str) -> Iterator[str]:
        written = False
        for node in body:
            for line in self._statement(node, pad):
                written = True
                yield line
        if not written:
            yield f"{pad}pass"

    def _statement(self, node: nodes.Node, pad: str) -> Iterator[str]:
        if isinstance(node, nodes.Output):
            for part in node.nodes:
                yield f"{pad}_out.append({self.text(part)})"
        elif isinstance(node, nodes.If):
            yield f"{pad}if {self.value(node.test)}:"
            yield from self._statements(node.body, pad + "    ")
            for other in node.elif_:
                yield f"{pad}elif {self.value(other.test)}:"
                yield from self._statements(other.body, pad + "    ")
            if node.else_:
                yield f"{pad}else:"
                yield from self._statements(node.else_, pad + "    ")
        elif isinstance(node, nodes.For) and not (node.else_ or node.test or node.recursive):
            yield f"{pad}for {self.value(node.target)} in {self.value(node.iter)}:"
            yield from self._statements(node.body, pad + "    ")
        elif isinstance(node, nodes.Assign):
            yield f"{pad}{self.value(node.target)} = {self.value(node.node)}"
        else:
            raise _unknown(node)

    def text(self, node: nodes.Node) -> str:
        """An expression that is a str."""
        if isinstance(node, nodes.TemplateData):
            return repr(node.data)
        value = self.value(node)
        is_text = isinstance(node, nodes.Filter) or (isinstance(node, nodes.Call) and self._macro_of(node))
        return value if is_text else f"str({value})"

    def value(self, node: nodes.Node) -> str:
        """An expression, in Python."""
        if isinstance(node, nodes.Name):
            return node.name
        if isinstance(node, nodes.Const):
            return repr(node.value)
        if isinstance(node, nodes.Getattr):
            return f"{self.value(node.node)}.{node.attr}"
        if isinstance(node, nodes.Tuple):
            return ", ".join(self.value(item) for item in node.items)
        if isinstance(node, nodes.Dict) and not node.items:
            return "{}"
        if isinstance(node, nodes.Filter) and node.node is not None:
            return self._filter(node)
        if isinstance(node, nodes.Call) and not (node.kwargs or node.dyn_args or node.dyn_kwargs):
            args = ", ".join(self.value(arg) for arg in node.args)
            return f"{self._macro_of(node) or self.value(node.node)}({args})"
        if isinstance(node, nodes.Test) and node.name == "none":
            return f"({self.value(node.node)} is None)"
        if isinstance(node, nodes.Not):
            return f"(not {self.value(node.node)})"
        if isinstance(node, nodes.And | nodes.Or):
            return f"({self.value(node.left)} {type(node).__name__.lower()} {self.value(node.right)})"
        if isinstance(node, nodes.Compare):
            rest = "".join(f" {OPERATORS[op.op]} {self.value(op.expr)}" for op in node.ops)
            return f"({self.value(node.expr)}{rest})"
        if isinstance(node, nodes.CondExpr) and node.expr2 is not None:
            return f"({self.value(node.expr1)} if {self.value(node.test)} else {self.value(node.expr2)})"
        raise _unknown(node)

    def _filter(self, node: nodes.Filter) -> str:
        assert node.node is not None
        if node.name == "trim" and not node.args:
            return f"{self.text(node.node)}.strip()"
        if node.name not in FILTERS or node.kwargs:
            raise _unknown(node)
        given = self.text(node.node) if node.name == "indent" else self.value(node.node)
        return f"{FILTERS[node.name]}({', '.join([given, *(self.value(arg) for arg in node.args)])})"

    def _macro_of(self, call: nodes.Call) -> str | None:
        return self.functions.get(call.node.name) if isinstance(call.node, nodes.Name) else None


def _is_blank(node: nodes.Output) -> bool:
    return all(isinstance(part, nodes.TemplateData) and not part.data.strip() for part in node.nodes)


def _unknown(node: nodes.Node) -> NotKnownError:
    return NotKnownError(f"line {node.lineno}: {type(node).__name__} is not compiled")


def compiled() -> str:
    """The whole module. Raises NotKnownError for what is not compiled."""
    shared = [TEMPLATES / "meta.j2", TEMPLATES / "pod.j2", TEMPLATES / "behavior.j2"]
    kinds = sorted(TEMPLATES.glob("*.yaml.j2"))
    lines = [line for path in (*shared, *kinds) for line in Template(path).lines()]
    names = "".join(f'    "{path.name.split(".")[0]}": _{path.name.split(".")[0]},\n' for path in kinds)
    return HEAD + "\n".join(lines) + f"\n\n\nTEMPLATES: dict[str, Callable[[Any], str]] = {{\n{names}}}\n"


def main() -> int:
    """Write or check; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 where the module is stale"
    )
    check = parser.parse_args().check
    made = compiled()
    if TARGET.is_file() and TARGET.read_text("utf-8") == made:
        return 0
    print(f"{'stale' if check else 'wrote'} {TARGET.relative_to(ROOT)}")
    if not check:
        TARGET.write_text(made, "utf-8")
    return 1 if check else 0


if __name__ == "__main__":
    sys.exit(main())
