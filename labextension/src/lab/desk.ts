/** The panel and the tabs of the sessions, in their places of the page. */

import type { ILabShell, ILayoutRestorer, JupyterFrontEnd } from "@jupyterlab/application";
import { MainAreaWidget, WidgetTracker } from "@jupyterlab/apputils";
import { Actions } from "./actions";
import type { Codex, Desk } from "./codex";
import { COMMANDS } from "./commands";
import { SessionsPanel } from "./panel";
import { SessionTab } from "./tab";

const PANEL_RANK = 450;

export function makeDesk(
  app: JupyterFrontEnd,
  codex: Codex,
  labShell: ILabShell | null,
  restorer: ILayoutRestorer | null,
): Desk {
  const tracker = new WidgetTracker<MainAreaWidget<SessionTab>>({ namespace: "codex-nb" });
  const openTab = async (session: string): Promise<void> => {
    let tab = tracker.find(({ content }) => content.session === session);
    if (tab === undefined) {
      tab = new MainAreaWidget({ content: new SessionTab(codex, session) });
      tab.id = `codex-nb-session-${session}`;
      tab.toolbar.hide();
      // The main area of Notebook 7 has room for the notebook only.
      app.shell.add(tab, labShell === null ? "right" : "main");
      await tracker.add(tab);
    }
    app.shell.activateById(tab.id);
  };
  const actions = new Actions(app, codex, openTab);
  const panel = new SessionsPanel(codex.watch, {
    open: (entry) => void actions.open(entry),
    stop: (entry) => void actions.stop(entry),
    close: (entry) => void actions.close(entry),
    newNotebook: () => void app.commands.execute(COMMANDS.newNotebook),
  });
  app.shell.add(panel, "left", { rank: PANEL_RANK });
  restorer?.add(panel, panel.id);
  void restorer?.restore(tracker, {
    command: COMMANDS.openSession,
    args: ({ content }) => ({ session: content.session }),
    name: ({ content }) => content.session,
  });
  return { actions, openTab, openPanel: () => app.shell.activateById(panel.id) };
}
