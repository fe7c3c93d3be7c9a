"""Every notebook that is shipped does what it says, as a program executes it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest
from nbconvert import HTMLExporter, MarkdownExporter

from tests.support.codex_versions import codex_programs
from tests.support.waiting import scaled

if TYPE_CHECKING:
    from nbformat import NotebookNode

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "scripts/demo.py"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
EXECUTE = """
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=120, resources={"metadata": {"path": "."}}).execute()
nbformat.write(notebook, sys.argv[1])
"""

pytestmark = [
    pytest.mark.notebook,
    pytest.mark.skipif(not codex_programs(), reason="needs openai-codex-cli-bin: pip install it"),
]


def execute(path: Path) -> NotebookNode:
    """Execute a notebook in place, in a process of its own, whose warnings are its own matter."""
    subprocess.run(
        [sys.executable, "-c", EXECUTE, path.name],
        cwd=path.parent,
        check=True,
        timeout=scaled(120),
        capture_output=True,
    )
    notebook: NotebookNode = nbformat.read(path, as_version=4)
    return notebook


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> NotebookNode:
    """The first notebook after its execution."""
    folder = tmp_path_factory.mktemp("executed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_RUNTIME_DIR", str(folder / "runtime"))
        patch.setenv("CODEX_NB_REPLAY_SPEED", "0")
        patch.setenv("PYTHONPATH", str(ROOT))
        shutil.copytree(ROOT / "notebooks", folder / "notebooks")
        return execute(folder / "notebooks" / "01_first_session.ipynb")


def conversations(notebook: NotebookNode) -> list[dict[str, str]]:
    """The MIME bundles of the cells that ran codex."""
    return [
        output["data"]
        for cell in notebook.cells
        if cell.cell_type == "code" and "codex_run" in cell.source
        for output in cell.outputs
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_to_its_end_and_is_shipped_without_outputs(
    path: Path, tmp_path: Path
) -> None:
    shutil.copytree(path.parent, tmp_path / "notebooks")

    notebook = execute(tmp_path / "notebooks" / path.name)

    shipped = json.loads(path.read_text(encoding="utf-8"))
    code = [cell for cell in shipped["cells"] if cell["cell_type"] == "code"]
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(code) + 1))
    assert [(cell["outputs"], cell["execution_count"]) for cell in code] == [([], None)] * len(code)


def test_what_the_notebook_reports_is_what_the_script_printed(executed: NotebookNode) -> None:
    first, second = conversations(executed)

    assert (
        first["text/plain"].count("Busiest: **Harbour**. Days without a count, left out: 1.") == 2
    )
    assert "Harbour  " + "█" * 40 + " 155" in second["text/plain"]
    assert "Which café is the busiest" not in second["text/plain"]


def test_without_a_person_the_notebook_of_the_seeds_says_what_each_cell_needs(
    tmp_path: Path,
) -> None:
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")

    notebook = execute(tmp_path / "notebooks" / "02_seeds.ipynb")

    shown = [
        output.evalue if output.output_type == "error" else output.data["text/plain"]
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type != "display_data"  # the conversation that did not begin
    ]
    login, listed, verified, run, doctor = shown
    assert (login, listed, verified, run) == (
        "Nobody watches this notebook, and a person has to enter the code.",
        "There are no seeds; `%codex_seed login NAME` makes one.",
        "There are no seeds to verify.",
        "There is no seed work.",
    )
    assert re.match(r"tried +state +found\n", doctor)
    assert {line.split("  ")[0] for line in doctor.splitlines()} >= {"integrity", "key", "logins"}


def test_the_saved_output_needs_no_kernel(executed: NotebookNode) -> None:
    kinds = [sorted(data) for data in conversations(executed)]

    session = "application/vnd.codex-nb.session+json"
    assert kinds == [[session, "text/html", "text/markdown", "text/plain"]] * 2


def test_the_handle_knows_what_happened(executed: NotebookNode) -> None:
    printed, value = (
        cell.outputs[0]
        for cell in executed.cells
        if cell.cell_type == "code" and cell.outputs and "codex_run" not in cell.source
    )

    assert re.match(r"completed · \d+ tokens\ndiff --git ", printed["text"])
    assert value["data"]["text/plain"].startswith("<6 items: 1 userMessage, 1 reasoning")


@pytest.mark.filterwarnings("default")  # nbconvert's own
@pytest.mark.parametrize(
    ("exporter", "said"),
    [
        (HTMLExporter, "Busiest: <strong>Harbour</strong>"),
        (MarkdownExporter, "Busiest: **Harbour**"),
    ],
)
def test_nbconvert_keeps_the_conversation(
    executed: NotebookNode, exporter: type[HTMLExporter | MarkdownExporter], said: str
) -> None:
    body, _ = exporter().from_notebook_node(executed)

    assert said in body
    assert "python3 compare_cafes.py" in body


def run_demo(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`make demo HEADLESS=1`, with its copy in a folder of the test."""
    return subprocess.run(
        [sys.executable, str(DEMO), "--headless", "--work", str(tmp_path / "work"), *arguments],
        capture_output=True,
        text=True,
        timeout=scaled(120),
        check=False,
    )


def test_the_headless_demo_prints_the_conversation_and_ends_well(tmp_path: Path) -> None:
    done = run_demo(tmp_path)

    assert (done.returncode, done.stdout.count("Busiest: **Harbour**")) == (0, 4)


def test_the_headless_demo_of_a_failing_notebook_ends_with_1(tmp_path: Path) -> None:
    path = tmp_path / "broken" / "broken.ipynb"
    path.parent.mkdir()
    notebook = nbformat.v4.new_notebook()
    sources = ["%load_ext codex_nb", "%codex_run --sandbox none What is here?", "print('after')"]
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(notebook, path)

    done = run_demo(tmp_path, str(path))

    words = "--sandbox cannot be 'none'. It is one of: read-only"
    assert done.returncode == 1
    assert words.split(". ", maxsplit=1)[0] in done.stdout
    assert "Traceback" not in done.stdout
    assert "after\n" not in done.stdout.replace("print('after')", "")
