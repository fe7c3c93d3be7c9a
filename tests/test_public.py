"""What is public says what it means: types without holes, traits with their units and defaults."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import traitlets

from codex_nb import errors
from codex_nb.errors import CodexNBError
from codex_nb.kernel.config import CodexNB

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(__file__).parent.parent / "codex_nb"

UNITS = {"timeout": "Seconds", "wait": "Seconds", "days": "Days"}
"""How the help of a trait begins whose name ends so."""


def public_functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Functions and methods that a name without an underscore leads to, and every `__init__`."""

    def look(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, ast.FunctionDef]]:
        for node in body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield from look(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (
                not node.name.startswith("_") or node.name == "__init__"
            ):
                yield f"{prefix}{node.name}", node  # type: ignore[misc]  # the fields are the same

    yield from look(tree.body, "")


def says_any(node: ast.FunctionDef) -> bool:
    """Whether an annotation of the signature holds the name Any."""
    every = node.args
    arguments = [*every.posonlyargs, *every.args, *every.kwonlyargs, every.vararg, every.kwarg]
    annotations = [each.annotation for each in arguments if each is not None] + [node.returns]
    return any(
        isinstance(part, ast.Name) and part.id == "Any"
        for annotation in annotations
        if annotation is not None
        for part in ast.walk(annotation)
    )


def test_no_public_signature_says_any() -> None:
    found = {
        f"{path.relative_to(PACKAGE.parent).as_posix()}:{name}"
        for path in PACKAGE.rglob("*.py")
        for name, node in public_functions(ast.parse(path.read_text(encoding="utf-8")))
        if says_any(node)
    }

    assert found == set()


TRAITS = CodexNB.class_traits(config=True)
NUMBERS = [name for name, trait in TRAITS.items() if isinstance(trait, traitlets.Float)]
EMPTY = [name for name in TRAITS if getattr(CodexNB(), name) in ("", [])]


@pytest.mark.parametrize("name", TRAITS)
def test_the_help_of_a_trait_tells_its_default(name: str) -> None:
    told = re.search(r"Default: ([^ ,]+?)[.,]?(?: |$)", TRAITS[name].help)

    default = getattr(CodexNB(), name)
    shown = f"{default:g}" if isinstance(default, float) else str(default)
    assert told is not None
    assert told[1] == ("empty" if default in ("", [], {}) else shown)


@pytest.mark.parametrize("name", NUMBERS)
def test_the_help_of_a_number_tells_its_unit_and_what_zero_means(name: str) -> None:
    trait = TRAITS[name]

    assert trait.help.startswith(UNITS[name.rpartition("_")[2]])
    assert bool(re.search(r"(?<![\d.])0(?: means|, which means)", trait.help)) == (trait.min == 0)


@pytest.mark.parametrize("name", EMPTY)
def test_the_help_of_a_text_or_a_list_tells_what_empty_means(name: str) -> None:
    assert ", which" in TRAITS[name].help.split("Default: empty")[1]


def test_the_tree_of_the_errors_is_the_one_in_their_docstring() -> None:
    lines = (errors.__doc__ or "").split("CodexNBError\n")[1].split("\n\n")[0].splitlines()

    told = {}
    above = ["CodexNBError"]
    for line in lines:
        indent, name = re.match(r"(\W+)(\w+)", line).groups()  # type: ignore[union-attr]
        above[len(indent) // 4 - 1 :] = [name]
        told[name] = above[-2]

    real = {
        kind.__name__: kind.__bases__[0].__name__
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, CodexNBError) and kind is not CodexNBError
    }
    assert told == real
