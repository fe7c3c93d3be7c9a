"""The pages say what is true: their examples are legal, and what they name exists, all of it."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from IPython.core.inputtransformer2 import TransformerManager

from codex_nb.kernel.config import CodexNB
from codex_nb.kernel.magics import CodexMagics
from codex_nb.kernel.options import split_line
from codex_nb.kernel.run import Run
from codex_nb.replay import scenario as shapes
from codex_nb.replay.scenario import scenario_names
from codex_nb.replay.scenario_file import parse_scenario
from codex_nb.seeds.verbs import seed_parser, verbs_of
from tests.support.codex_versions import ONE_CODEX
from tests.support.sessions import Rig
from tests.support.waiting import run

if TYPE_CHECKING:
    from codex_nb.codex.binary import CodexProgram

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
TALKS_OF_OPTIONS = [ROOT / "README.md", ROOT / "docs/magics.md", ROOT / "docs/seeds.md"]


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(path: Path, language: str) -> list[str]:
    """The fenced blocks of a page in this language."""
    found: list[str] = re.findall(
        rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    return found


def option_names() -> set[str]:
    actions = CodexMagics.codex_run.parser._actions
    return {name for action in actions for name in action.option_strings}


def seed_option_names() -> set[str]:
    verbs = verbs_of(seed_parser("codex-nb seed")).values()
    common = {"--json", "--store"}  # of the command, on every verb
    return common.union(*(action.option_strings for verb in verbs for action in verb._actions))


PYTHON = [
    pytest.param(block, id=f"{path.name}-{number}")
    for path in PAGES
    for number, block in enumerate(blocks(path, "python"), 1)
]


@pytest.mark.parametrize("block", PYTHON)
def test_every_python_example_is_a_legal_cell(block: str) -> None:
    cell = TransformerManager().transform_cell(block)

    compile(cell, "example", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("block", PYTHON)
def test_every_magic_of_an_example_takes_its_options(block: str) -> None:
    for line in re.findall(r"^%%?codex_run (.*)$", block, re.MULTILINE):
        tokens, _ = split_line(line, CodexMagics.codex_run.parser)
        CodexMagics.codex_run.parser.parse_args(tokens)


@pytest.mark.parametrize("path", TALKS_OF_OPTIONS, ids=lambda path: path.name)
def test_the_pages_name_no_option_that_does_not_exist(path: Path) -> None:
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", path.read_text(encoding="utf-8")))

    assert named - option_names() - seed_option_names() == set()


def test_the_page_of_the_magics_has_a_row_for_every_option_and_for_no_other() -> None:
    rows = re.findall(r"^\| (`-.*?) \|", text_of("docs/magics.md"), re.MULTILINE)

    assert set(re.findall(r"`(--?[a-z-]+)", " ".join(rows))) == option_names()


def test_the_page_of_the_magics_has_a_row_with_its_default_for_every_trait() -> None:
    rows = re.findall(
        r"^\| `CodexNB\.(\w+)` \| `(.*?)` \|", text_of("docs/magics.md"), re.MULTILINE
    )

    traits = CodexNB.class_traits(config=True)
    told = {name: ast.literal_eval(default) for name, default in rows}

    assert told == {name: getattr(CodexNB(), name) for name in traits}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_the_pages_name_no_trait_that_does_not_exist(path: Path) -> None:
    named = set(re.findall(r"CodexNB\.([a-z_]+)", path.read_text(encoding="utf-8")))

    assert named - set(CodexNB.class_traits(config=True)) == set()


def test_the_page_of_the_magics_has_every_member_of_the_handle_and_no_other() -> None:
    members = {name for name in vars(Run) if not name.startswith("_")} - {"shown_by"}
    rows = re.findall(r"^\| (`(?:run|await).*?) \|", text_of("docs/magics.md"), re.MULTILINE)

    assert set(re.findall(r"`run\.(\w+)", " ".join(rows))) == members


def test_the_parameters_of_the_handle_are_told_with_their_defaults() -> None:
    told = re.findall(r"`run\.(\w+)\((.+?)\)`", text_of("docs/magics.md"))

    for name, parameters in told:
        signature = list(inspect.signature(getattr(Run, name)).parameters.values())[1:]
        shown = [
            p.name if p.default is p.empty else f"{p.name}={p.default!r}".replace("'", '"')
            for p in signature
        ]
        assert (name, parameters) == (name, ", ".join(shown))


def test_the_page_of_the_replays_names_every_key() -> None:
    kinds = (shapes.Command, shapes.ToolCall, shapes.Failure, shapes.Window, shapes.RateLimits)
    keys = {
        field.name
        for kind in (*kinds, shapes.Usage, shapes.Step, shapes.Turn, shapes.Scenario)
        for field in dataclasses.fields(kind)
    }
    # In a file they are written [[turn]] and [[turn.step]].
    keys -= {"turns", "steps"}

    assert {key for key in keys if f"`{key}`" not in text_of("docs/replay.md")} == set()


def test_the_page_of_the_replays_names_what_is_shipped() -> None:
    assert [f"`{name}`" in text_of("docs/replay.md") for name in scenario_names()] == [True, True]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_to_other_pages_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\((?!http|#)([^)#]+)", path.read_text(encoding="utf-8"))

    assert [target for target in targets if not (path.parent / target).exists()] == []


@pytest.mark.parametrize("program", ONE_CODEX)
def test_the_example_of_the_page_plays_as_it_says(program: CodexProgram, tmp_path: Path) -> None:
    [example] = blocks(ROOT / "docs/replay.md", "toml")
    file = tmp_path / "count.toml"
    file.write_text(example.replace("speed = 60", "speed = 0"))
    rig = Rig(root=tmp_path / "sessions", cwd=tmp_path / "work", program=program)
    rig.cwd.mkdir()
    (rig.cwd / "notes.txt").write_text("one\ntwo\nthree\n")

    async def play() -> list[str]:
        async with rig.session(replay=str(file)) as viewer:
            await viewer.turn("How many lines?")
            await viewer.turn("Thanks!")
            return [str(item["text"]) for item in viewer.items("agentMessage")]

    assert parse_scenario(example, name="count.toml").title == "Counting lines"
    assert run(play()) == [
        "I count them.",
        "You asked: How many lines? The file has 3 lines.",
        "You are welcome.",
    ]
