"""axe finds nothing to blame in any sample of the view, in the three themes of JupyterLab."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.browser.audit import AXE
from tests.browser.stage import DATA, Stage

pytestmark = pytest.mark.browser

THEMES = Path(sys.prefix) / "share" / "jupyter" / "lab" / "themes" / "@jupyterlab"
VIEWS = sorted(path.stem for path in (DATA / "views").glob("*.json"))

# As in a page with our JupyterLab extension: buttons that open files are there as well.
PAGE = """(css) => {
  const style = document.createElement("style");
  style.textContent = css + "body { background: var(--jp-layout-color0); }";
  document.head.append(style);
  globalThis[Symbol.for("codex-nb.page")] = {
    version: 1,
    open() { throw new Error("no session"); },
    services: { canOpen: () => true, openFile() {} },
  };
}"""
UNFOLD = """() => {
  for (const it of document.querySelectorAll("details")) it.open = true;
  for (const it of document.querySelectorAll("[aria-expanded=false]")) it.click();
}"""
# The page around the view is the test's own, and what the model calls a heading is its choice.
RUN = """async () => {
  const rules = Object.fromEntries(
    ["page-has-heading-one", "heading-order"].map((name) => [name, { enabled: false }]),
  );
  const { violations, passes } = await axe.run(document, { rules });
  const found = violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id} ${node.html}`));
  return [found, passes.map(({ id }) => id)];
}"""


@pytest.mark.parametrize("theme", ["light", "dark", "dark-high-contrast"])
def test_axe_finds_no_violation(stage: Stage, theme: str) -> None:
    if not AXE.is_file():
        pytest.skip("needs axe-core: run `npm ci` in labextension")
    themes = THEMES / f"theme-{theme}-extension" / "index.css"
    if not themes.is_file():
        pytest.skip("needs the themes of JupyterLab: pip install jupyterlab")
    stage.page.evaluate(PAGE, themes.read_text("utf-8"))
    stage.page.evaluate(AXE.read_text("utf-8") + "; 0")
    stage.page.emulate_media(reduced_motion="reduce")
    found = {}
    for name in VIEWS:
        stage.show_view(name)
        stage.page.evaluate(UNFOLD)
        stage.settle()
        found[name], passed = stage.page.evaluate(RUN)
        assert "color-contrast" in passed

    assert found == {name: [] for name in VIEWS}


def test_axe_finds_what_is_wrong(stage: Stage) -> None:
    if not AXE.is_file():
        pytest.skip("needs axe-core: run `npm ci` in labextension")
    stage.page.evaluate(AXE.read_text("utf-8") + "; 0")
    stage.show_view("done")
    stage.page.evaluate(
        """() => {
          const wrong = document.createElement("button");
          document.querySelector(".cnb-message").append(wrong);
        }"""
    )

    assert "button-name <button></button>" in stage.page.evaluate(RUN)[0]
