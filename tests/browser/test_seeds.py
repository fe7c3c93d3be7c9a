"""Logins as a person sees them: `%codex_seed` in JupyterLab, on codex and a fake of OpenAI."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.browser.audit import Audit
from tests.browser.lab import Lab
from tests.browser.pages import Pages
from tests.support.openai_fake import MARKER, FakeOpenAI, refusal
from tests.support.waiting import wait_until_now

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from tests.browser.lab import NotebookPage

pytestmark = pytest.mark.browser

LIMIT = 30
LOAD = "%load_ext codex_nb"
TABLE, LOGIN = ".codex-nb-seeds", ".codex-nb-login"
NO_SEEDS = "There are no seeds; %codex_seed login NAME makes one."
LATE = "The code ran out before it was used. Run the cell again for a new one."
# A code is good for a quarter of an hour, for which no test waits; the kernel is told otherwise.
# That codex says so half a minute later still is more than the page is given.
SHORT = "from codex_nb.codex import login\nlogin.DEVICE_CODE_LIFE = 4"
IMPORT_ALL = """from IPython.utils.capture import capture_output
with capture_output():
    for number in range(20):
        get_ipython().run_line_magic("codex_seed", f"import {number}.json --name seed-{number:02}")
"""
FAINT = """(selector) => {
  const it = document.querySelector(selector);
  it.style.color = "color-mix(in srgb, currentColor 30%, transparent)";
}"""


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as fake:
        yield fake


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, fake: FakeOpenAI) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("seeds")
    places = {name: str(folder / name) for name in ("XDG_DATA_HOME", "XDG_STATE_HOME")}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**fake.environment(), **places}.items():
            patch.setenv(name, value)
        lab = Lab(folder / "lab")
    yield lab
    lab.close()


@pytest.fixture
def pages(lab: Lab, chromium: Browser) -> Iterator[Pages]:
    for path in lab.folder.parent.glob("XDG_DATA_HOME/codex_nb/*"):
        path.unlink()  # each test begins with an empty store
    pages = Pages(lab, chromium)
    yield pages
    pages.close()


def new_code(fake: FakeOpenAI, before: list[str]) -> str:
    """The device code that somebody asked for since then."""
    wait_until_now(lambda: len(fake.state.pending_codes()) > len(before), seconds=LIMIT)
    [code] = set(fake.state.pending_codes()) - set(before)
    return code


def text_of(page: NotebookPage, cell: int) -> str:
    """What a cell shows."""
    return page.page.locator(".jp-CodeCell").nth(cell).locator(".jp-OutputArea").inner_text()


def saved(pages: Pages, page: NotebookPage, name: str) -> str:
    """The file of a notebook, saved."""
    page.command("docmanager:save")
    return (pages.lab.root / name).read_text()


def finish(page: NotebookPage, cell: int) -> None:
    """Run a cell, and wait until it is over, well or not."""
    page.run_cells(cell)
    page.wait_for(
        "([at]) => /\\d/.test(document.querySelectorAll('.jp-InputPrompt')[at].innerText)", cell
    )


def test_a_person_logs_in_with_a_code_and_runs_codex_with_it(
    pages: Pages, fake: FakeOpenAI
) -> None:
    page = pages.open(
        "login.ipynb",
        f"{LOAD}\n%config CodexNB.settings = {fake.codex_config()!r}",
        "%codex_seed list",
        "%codex_seed login work",
        "%%codex_run --seed work -o run\nping",
    )
    page.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    before = fake.state.pending_codes()
    page.run_cells(0, 1, 2)
    page.page.get_by_text(NO_SEEDS).wait_for()
    code = new_code(fake, before)
    page.page.get_by_text(code, exact=True).wait_for()
    link = page.page.get_by_role("link", name=re.compile("codex.device"))
    assert (link.get_attribute("target"), link.get_attribute("rel")) == (
        "_blank",
        "noopener noreferrer",
    )
    page.page.get_by_role("timer").get_by_text(re.compile(r"^1\d:\d\d left$")).wait_for()
    page.page.get_by_role("button", name="Copy the code").click()
    page.page.get_by_text("Copied", exact=True).wait_for()
    assert page.page.evaluate("() => navigator.clipboard.readText()") == code

    fake.approve(code)
    page.page.get_by_text("work is kept").wait_for()
    page.run_cells(3)
    page.view().get_by_text("pong", exact=True).wait_for()
    page.view().get_by_text("Done", exact=True).first.wait_for()

    notebook = saved(pages, page, "login.ipynb")
    assert "work is kept" in notebook
    assert MARKER not in notebook
    assert code not in notebook


def test_a_login_that_is_cancelled_leaves_nothing(pages: Pages, fake: FakeOpenAI) -> None:
    page = pages.open("cancel.ipynb", LOAD, "%codex_seed login work", "%codex_seed list")
    before = fake.state.pending_codes()
    page.run_cells(0, 1)
    new_code(fake, before)
    page.page.get_by_role("button", name="Cancel", exact=True).click()
    page.wait_for(
        "() => document.querySelectorAll('.jp-InputPrompt')[1].innerText.trim() !== '[*]:'"
    )
    page.run_cells(2)
    page.page.get_by_text(NO_SEEDS).wait_for()


def test_a_code_that_ran_out_is_gone_and_the_cell_says_what_to_do(
    pages: Pages, fake: FakeOpenAI
) -> None:
    config = f"%config CodexNB.settings = {fake.codex_config()!r}"
    page = pages.open("late.ipynb", f"{LOAD}\n{config}\n{SHORT}", "%codex_seed login work")
    before = fake.state.pending_codes()
    page.run_cells(0, 1)
    code = new_code(fake, before)
    page.page.get_by_role("timer").get_by_text(re.compile(r"^0:0\d left$")).wait_for()
    page.page.get_by_text(LATE).wait_for()
    assert code not in page.page.content()
    assert code not in saved(pages, page, "late.ipynb")

    before = fake.state.pending_codes()
    page.execute("login.DEVICE_CODE_LIFE = 900")
    page.run_cells(1)
    again = new_code(fake, before)
    page.page.get_by_text(again, exact=True).wait_for()
    fake.approve(again)
    page.page.get_by_text("work is kept").wait_for()


def test_an_api_key_is_typed_unseen_and_stays_nowhere(pages: Pages, fake: FakeOpenAI) -> None:
    key = fake.new_api_key()
    page = pages.open("key.ipynb", LOAD, "%codex_seed login key --api-key")
    page.run_cells(0, 1)
    field = page.page.locator(".jp-Stdin-input")
    field.wait_for()
    assert field.get_attribute("type") == "password"
    assert "API key" in text_of(page, 1)
    field.fill(key)
    field.press("Enter")
    page.page.get_by_text("key is kept").wait_for()

    typed = "() => [...document.querySelectorAll('input, textarea')].map((it) => it.value).join()"
    notebook = saved(pages, page, "key.ipynb")
    assert "key is kept" in notebook
    assert key not in page.page.content() + page.page.evaluate(typed) + notebook
    said = page.execute("print(In, Out, locals())")
    assert ("login key --api-key" in said, key in said) == (True, False)
    files = [path for path in pages.lab.folder.parent.rglob("*") if path.is_file()]
    assert [path for path in files if key.encode() in path.read_bytes()] == []


def test_a_bar_moves_while_many_are_verified_and_makes_way_for_the_verdicts(
    pages: Pages, fake: FakeOpenAI
) -> None:
    for number in range(20):
        login = fake.new_login(f"acct-{number}", expires_in=3600 if number < 14 else 60)
        (pages.lab.root / f"{number}.json").write_bytes(login)
    page = pages.open("many.ipynb", LOAD, IMPORT_ALL, "%codex_seed verify --all")
    finish(page, 0)
    finish(page, 1)
    fake.stop_answering()
    try:
        page.run_cells(2)
        bar = page.page.locator("progress")
        page.page.get_by_role("progressbar", name="14 of 20 seeds").wait_for()
        assert (bar.get_attribute("value"), bar.get_attribute("max")) == ("14", "20")
        assert text_of(page, 2).strip() == "14 of 20 seeds"
        audit = Audit(page, [".jp-CodeCell:nth-of-type(3) .jp-OutputArea-output"])
        assert audit.violations_by_theme() == {}
    finally:
        fake.answer_again()
    page.page.get_by_text("Verdicts: 20 alive").wait_for()
    bar.wait_for(state="hidden")
    assert "of 20 seeds" not in saved(pages, page, "many.ipynb")
    assert text_of(page, 2).count("It got new tokens.") == 6


def test_what_is_wrong_is_said_in_two_sentences_without_a_traceback(pages: Pages) -> None:
    page = pages.open(
        "wrong.ipynb",
        LOAD,
        "%codex_seed show nobody",
        "%config CodexNB.store = 'mongodb://127.0.0.1:1/seeds'\n%codex_seed list",
    )
    for cell in range(3):
        finish(page, cell)
    assert text_of(page, 1).strip().split("\n") == [
        "SeedNotFoundError: There is no seed nobody.",
        "See all with `%codex_seed list`.",
    ]
    assert text_of(page, 2).strip().split("\n") == [
        "StoreError: MongoDB at mongodb://127.0.0.1:1/seeds cannot be reached.",
        "Check that the server runs, that its replica set has a primary, and that this machine "
        "may connect to it.",
    ]


def test_a_login_reads_well_in_three_themes(pages: Pages, fake: FakeOpenAI) -> None:
    page = pages.open("themes.ipynb", LOAD, "%codex_seed login work")
    before = fake.state.pending_codes()
    page.run_cells(0, 1)
    new_code(fake, before)
    page.page.get_by_role("timer").get_by_text("left").wait_for()
    audit = Audit(page, [LOGIN, f"{LOGIN} a", f"{LOGIN} code", f"{LOGIN} button"])

    assert audit.violations_by_theme() == {}
    assert {"button-name", "link-name", "color-contrast"} <= audit.passed
    page.page.evaluate(FAINT, f"{LOGIN} code")
    assert [it.partition(" ")[0] for it in audit.violations()] == ["color-contrast"]


def test_tables_read_well_in_three_themes(pages: Pages, fake: FakeOpenAI) -> None:
    for name, left in (("one", 3600), ("two", 60), ("three", 60)):
        (pages.lab.root / f"{name}.json").write_bytes(fake.new_login(name, expires_in=left))
    page = pages.open(
        "tables.ipynb",
        LOAD,
        "%codex_seed list",
        *(f"%codex_seed import {name}.json --pool team" for name in ("one", "two", "three")),
        "%codex_seed verify two",
        "%codex_seed verify --all",
        "%codex_seed list",
        "%codex_seed show one",
        "%codex_seed doctor",
        "%codex_seed delete two --yes",
    )
    fake.fail(refusal(401, "refresh_token_invalidated"))
    fake.fail(refusal(503, "server_error"))
    page.run_all()
    page.page.get_by_text("Removed: two.").wait_for()
    page.page.get_by_text(NO_SEEDS).wait_for()
    listed = text_of(page, 7).split("\n")
    assert [line.split("\t")[:2] for line in listed if "\t" in line] == [
        ["name", "pool"],
        *(["one", "team"], ["three", "team"], ["two", "team"]),
    ]
    assert "Verdicts: 1 alive, 1 dead, 1 inconclusive" in text_of(page, 6)
    cell = page.page.locator(".jp-CodeCell").nth(7).get_by_role("cell", name="team").first
    assert cell.evaluate("(it) => getComputedStyle(it).textAlign") == "left"
    tones = [f"{TABLE} .cx-{tone}" for tone in ("good", "warn", "bad")]
    audit = Audit(page, [TABLE, f"{TABLE} p", f"{TABLE} caption", f"{TABLE} thead th", *tones])

    assert audit.violations_by_theme() == {}
    assert {"th-has-data-cells", "color-contrast"} <= audit.passed
    page.page.evaluate(FAINT, f"{TABLE} td")
    assert [it.partition(" ")[0] for it in audit.violations()] == ["color-contrast"]
