"""Chromium for the tests of the view: one per run, a fresh page per test."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.browser.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A Chromium of this machine."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install it")
    program = (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )
    if program is None:
        pytest.skip("needs chromium on PATH")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def _stages(chromium: Browser) -> Iterator[list[Stage]]:
    """The page that an earlier test left, if it can be used again."""
    stages: list[Stage] = []
    yield stages
    for stage in stages:
        stage.close()


@pytest.fixture
def stage(chromium: Browser, _stages: list[Stage]) -> Iterator[Stage]:
    """A page for one view; a script error or a stray request fails the test."""
    if _stages:
        stage = _stages.pop()
        stage.renew()
    else:
        stage = Stage(chromium)
    yield stage
    problems = list(stage.problems)
    if problems or stage.is_worn:
        stage.close()
    else:
        _stages.append(stage)
    assert problems == []
