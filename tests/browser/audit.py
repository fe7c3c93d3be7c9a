"""What axe blames in a page of JupyterLab, theme by theme."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.stage import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.browser.lab import NotebookPage

AXE = ROOT / "labextension" / "node_modules" / "axe-core" / "axe.min.js"
LAB_THEMES = ("JupyterLab Light", "JupyterLab Dark", "JupyterLab Dark High Contrast")

# The body of JupyterLab has no height, and what overflows it is hidden. A browser does not clip by
# that, as it is the outermost element; axe 4.14 does, and looks at no colour in a notebook.
_PREPARE = "; document.body.style.height = '100vh'; 0"
# A theme is there when its colours are, which come in a style sheet of their own, and when what
# covers the page meanwhile has faded.
_HAS_THEME = """([name]) =>
  document.body.dataset.jpThemeName === name
  && getComputedStyle(document.body).getPropertyValue("--jp-layout-color1") !== ""
  && document.getElementById("jupyterlab-splash") === null"""
# The page itself is JupyterLab's, and what the model calls a heading is its choice. Where a colour
# stands, axe says as well: a rule that found nothing to look at would pass for ever.
_RUN = """async (ours) => {
  const include = ours.map((it) => [it]);
  const rules = { "heading-order": { enabled: false } };
  const { violations, passes } = await axe.run({ include }, { rules, elementRef: true });
  const found = violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id} ${html}`));
  const contrast = [...violations, ...passes].filter(({ id }) => id === "color-contrast");
  const seen = contrast.flatMap(({ nodes }) => nodes.map(({ element }) => element));
  const isIn = (it) => seen.some((at) => at.closest(it));
  const unseen = ours.filter((it) => !isIn(it)).map((it) => `no text was looked at in ${it}`);
  return [[...found, ...unseen], passes.map(({ id }) => id)];
}"""


class Audit:
    """Axe in a page. Skips the test without axe.

    Args:
        page: Of a notebook, as it is to be looked at.
        ours: Selectors of what is looked at; each has to be there, with text in it.
    """

    def __init__(self, page: NotebookPage, ours: Sequence[str]) -> None:
        if not AXE.is_file():
            pytest.skip("needs axe-core: run `npm ci` in labextension")
        self._page = page
        self._ours = list(ours)
        self.passed: set[str] = set()
        page.page.emulate_media(reduced_motion="reduce")
        page.page.evaluate(AXE.read_text("utf-8") + _PREPARE)

    def violations(self) -> list[str]:
        """What axe blames now; `passed` has the rules with which it was content."""
        found, passed = self._page.page.evaluate(_RUN, self._ours)
        self.passed = set(passed)
        return [str(it) for it in found]

    def violations_by_theme(self) -> dict[str, list[str]]:
        """What axe blames in each of the three themes, if anything; the first one is back then."""
        found = {}
        for theme in LAB_THEMES:
            self._put_on(theme)
            if wrong := self.violations():
                found[theme] = wrong
        self._put_on(LAB_THEMES[0])
        return found

    def _put_on(self, theme: str) -> None:
        self._page.command("apputils:change-theme", theme=theme)
        self._page.wait_for(_HAS_THEME, theme)
