/** The panel and the tabs of the sessions, in their places of the page. */

import type { ILabShell, ILayoutRestorer, JupyterFrontEnd } from "@jupyterlab/application";
import { MainAreaWidget, WidgetTracker } from "@jupyterlab/apputils";
import { Actions } from "./actions";
import type { Codex, Desk } from "./codex";
import { COMMANDS } from "./commands";
import { SessionsPanel } from "./panel";
import { type Area, SessionTab } from "./tab";
import type { Face } from "../tokens";

const PANEL_RANK = 450;

export function makeDesk(
  app: JupyterFrontEnd,
  codex: Codex,
  labShell: ILabShell | null,
  restorer: ILayoutRestorer | null,
): Desk {
  const tracker = new WidgetTracker<MainAreaWidget<SessionTab>>({ namespace: "codex-nb" });
  const show = async (session: string, face: Face, area?: Area): Promise<SessionTab> => {
    const known = tracker.find(({ content }) => content.session === session);
    const tab = known ?? new MainAreaWidget({ content: new SessionTab(codex, session, face) });
    const { content } = tab;
    tab.id = `codex-nb-session-${session}`;
    tab.toolbar.hide();
    // The main area of Notebook 7 has room for the notebook only.
    const wanted = labShell === null ? "right" : (area ?? content.area);
    if (known === undefined || wanted !== content.area) app.shell.add(tab, wanted);
    content.area = wanted;
    if (known === undefined) await tracker.add(tab);
    else await tracker.save(tab);
    app.shell.activateById(tab.id);
    return content;
  };
  const openTab = async (session: string, face: Face = "conversation", area?: Area): Promise<void> =>
    void (await show(session, face, area));
  const openTerminal = (session: string): void => void show(session, "terminal").then((tab) => tab.openTerminal());
  codex.services.openTerminal = openTerminal;
  const actions = new Actions(app, codex, openTab);
  const panel = new SessionsPanel(codex.watch, {
    open: (entry) => void actions.open(entry),
    openTerminal: (entry) => openTerminal(entry.id),
    stop: (entry) => void actions.stop(entry),
    close: (entry) => void actions.close(entry),
    newNotebook: () => void app.commands.execute(COMMANDS.newNotebook),
  });
  app.shell.add(panel, "left", { rank: PANEL_RANK });
  restorer?.add(panel, panel.id);
  void restorer?.restore(tracker, {
    command: COMMANDS.openSession,
    args: ({ content: { session, face, area } }) => ({ session, face, area }),
    name: ({ content }) => content.session,
  });
  return { actions, openTab, openPanel: () => app.shell.activateById(panel.id) };
}
