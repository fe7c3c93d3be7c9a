"""`%codex_seed` in a real kernel, with the real codex: logins, and nothing secret anywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pyrage
import pytest

from tests.support.codex_versions import ONE_CODEX
from tests.support.kernels import kernel_in
from tests.support.openai_fake import MARKER, FakeOpenAI
from tests.support.waiting import scaled, wait_until_now

if TYPE_CHECKING:
    from collections.abc import Iterator

    from codex_nb.codex.binary import CodexProgram
    from tests.support.kernels import Cell, Kernel

ROOT = Path(__file__).parents[2]
WIDGET = "application/vnd.jupyter.widget-view+json"
LIMIT = 60.0


@pytest.fixture(autouse=True)
def _own_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    for name in ("CODEX_NB_STORE", "CODEX_NB_KEY", "CODEX_NB_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(strict=True) as fake:
        yield fake


@pytest.fixture(params=ONE_CODEX)
def kernel(
    request: pytest.FixtureRequest, folder: Path, fake: FakeOpenAI, tmp_path: Path
) -> Iterator[Kernel]:
    program: CodexProgram = request.param
    (tmp_path / "home").mkdir()
    env = {"HOME": str(tmp_path / "home"), **fake.environment()}
    with kernel_in(folder, env) as kernel:
        assert kernel.run("%load_ext codex_nb").status == "ok"
        kernel.run(f"%config CodexNB.codex = {program.path!r}")
        kernel.run(f"%config CodexNB.settings = {fake.codex_config()!r}")
        yield kernel


def answered(kernel: Kernel, code: str, answer: str) -> tuple[Cell, bool]:
    """A cell that asks for a line, and whether it asked for one that is not shown."""
    asked = kernel._client.execute(code, allow_stdin=True)
    question = kernel._client.get_stdin_msg(timeout=scaled(LIMIT))
    kernel._client.input(answer)
    return kernel._finish(asked, LIMIT), bool(question["content"]["password"])


def code_of(cell: Cell) -> str:
    data = next(o["data"] for o in cell.outputs if o["type"] == "display_data")
    assert isinstance(data, dict)
    return str(data["text/plain"]).partition("enter the code ")[2].partition(" ")[0]


def update_of(kernel: Kernel, cell: Cell, word: str) -> str:
    """The text of the display, as soon as it has this word."""

    def has_word() -> bool:
        kernel.listen(cell)
        return word in cell.text

    wait_until_now(has_word, seconds=LIMIT)
    return cell.text


def test_a_device_code_is_shown_until_the_login_is_kept(kernel: Kernel, fake: FakeOpenAI) -> None:
    cell = kernel.run("%codex_seed login work --pool team")

    code = code_of(cell)
    assert cell.status == "ok"
    assert WIDGET in json.dumps(cell.outputs)
    assert f"{fake.url}/codex/device" in cell.text
    fake.approve(code)
    shown = update_of(kernel, cell, "ChatGPT")
    assert "work  team  ChatGPT" in shown
    # Nothing of the code stays in the notebook, and no widget that needs a kernel.
    assert code not in json.dumps(cell.outputs)
    assert WIDGET not in json.dumps(cell.outputs)


def test_a_device_login_is_cancelled_by_its_button(kernel: Kernel) -> None:
    cell = kernel.run("%codex_seed login work")
    data = next(o["data"] for o in cell.outputs if o["type"] == "display_data")
    assert isinstance(data, dict)
    view = data[WIDGET]
    assert isinstance(view, dict)

    kernel.tell(str(view["model_id"]), {"op": "cancel"})

    assert "cancelled; nothing is kept" in update_of(kernel, cell, "cancelled")
    assert "There are no seeds" in kernel.run("%codex_seed list").text


def test_a_device_login_that_is_refused_says_why(kernel: Kernel, fake: FakeOpenAI) -> None:
    cell = kernel.run("%codex_seed login work")

    fake.deny(code_of(cell))

    assert "The login failed" in update_of(kernel, cell, "failed")


def test_an_api_key_is_asked_for_and_not_shown(
    kernel: Kernel, fake: FakeOpenAI, tmp_path: Path
) -> None:
    key = fake.new_api_key()

    cell, is_hidden = answered(kernel, "%codex_seed login key --api-key", key)

    assert (cell.status, is_hidden) == ("ok", True)
    assert "API key" in cell.text
    assert key not in json.dumps(cell.outputs)
    cell, is_hidden = answered(kernel, "%codex_seed delete key", "y")
    assert (cell.status, is_hidden) == ("ok", False)
    assert "Removed: key." in cell.text


def test_where_nobody_watches_no_login_waits_for_a_person(folder: Path, fake: FakeOpenAI) -> None:
    with kernel_in(folder, fake.environment(), is_attended=False) as kernel:
        kernel.run("%load_ext codex_nb")
        key = kernel.run("%codex_seed login key --api-key")
        code = kernel.run("%codex_seed login work")

    assert key.error[0] == "UsageError: There is nobody to ask here."
    assert code.error[0].startswith("UsageError: Nobody watches this notebook")


def leaks(folder: Path) -> list[str]:
    """The files below a folder that hold a token in clear."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path) for path in files if MARKER.encode() in path.read_bytes()]


def test_no_verb_leaves_a_secret_in_any_file_or_output(
    kernel: Kernel, fake: FakeOpenAI, folder: Path, tmp_path: Path
) -> None:
    identity = pyrage.x25519.Identity.generate()
    private = tmp_path / "identity.txt"
    private.write_text(f"{identity}\n")
    auth = tmp_path / "auth.json"
    auth.write_bytes(fake.new_login("acct-1", expires_in=60))
    cells = [
        kernel.run("%config Application.log_level = 'DEBUG'"),
        kernel.run("import logging; logging.basicConfig(filename='all.log', level=1)"),
        kernel.run(f"%config CodexNB.settings = {fake.codex_config()!r}"),
        kernel.run(f"%codex_seed import {auth} --name one"),
        answered(kernel, "%codex_seed login key --api-key", fake.new_api_key())[0],
        kernel.run("%codex_seed login two"),
    ]
    fake.approve(code_of(cells[-1]), "acct-2")
    update_of(kernel, cells[-1], "ChatGPT")
    sealed = f"import uno.age --name three --identity {private}"
    lines = (
        "list",
        "show one",
        "verify --all",
        "refresh one",
        "refresh one two",
        "verify one --codex",
        "verify one --probe",
        "verify key --models",
        "rename one uno",
        "pool uno team",
        "release uno",
        "retire uno",
        "retire uno --undo",
        f"export uno --to {identity.to_public()}",
        sealed,
        "rekey",
        "doctor",
        f"import {folder} --name nothing",
        "show nobody",
        f"import {auth} --name uno",
        "move --to there.db",
        "delete nobody --yes",
        "purge --yes",
    )
    done = [kernel.run(f"%codex_seed {line}") for line in lines]
    cells += done
    cells.append(kernel.run("%tb"))
    assert kernel.run("%history -f history.txt").status == "ok"
    assert leaks(tmp_path) == [str(auth)]
    auth.unlink()

    shown = json.dumps([[cell.outputs, cell.error] for cell in cells])
    assert [line for line, cell in zip(lines, done, strict=True) if cell.status == "error"] == [
        sealed,  # it is there already
        f"import {folder} --name nothing",
        "show nobody",
        f"import {auth} --name uno",
        "delete nobody --yes",
    ]
    assert fake.requests("/v1/responses") != []
    assert fake.requests("/v1/models") != []
    assert MARKER not in shown
    assert leaks(tmp_path) == []
    assert (folder / "all.log").exists()
    assert (folder / "history.txt").exists()
