/** The commands of the palette and the launcher. */

import type { JupyterFrontEnd } from "@jupyterlab/application";
import { InputDialog } from "@jupyterlab/apputils";
import type { ReadonlyPartialJSONObject } from "@lumino/coreutils";
import { readFace } from "../core/shown";
import { reveal } from "../core/reveal";
import { isBusy } from "./actions";
import type { Codex, Desk } from "./codex";
import { codexIcon } from "./icon";
import type { Entry } from "./server";

export const CATEGORY = "Codex";

export const COMMANDS = {
  openPanel: "codex-nb:open-panel",
  openSession: "codex-nb:open-session",
  openBeside: "codex-nb:open-beside",
  openWindow: "codex-nb:open-window",
  watchInWindow: "codex-nb:watch-in-window",
  stopTurn: "codex-nb:stop-turn",
  closeSession: "codex-nb:close-session",
  nextWaiting: "codex-nb:next-waiting",
  newNotebook: "codex-nb:new-notebook",
  allowNotifications: "codex-nb:allow-notifications",
} as const;

export function addCommands(app: JupyterFrontEnd, { watch }: Codex, { actions, openPanel, openTab }: Desk): void {
  const { commands } = app;
  const running = (): Entry[] => watch.entries.filter(({ ended }) => ended === "");
  /** The session that the arguments name, the only one there is, or the one that the person picks. */
  const pick = async (args: ReadonlyPartialJSONObject, from: readonly Entry[], title: string): Promise<Entry | null> => {
    if (typeof args.session === "string") return watch.find(args.session);
    if (from.length < 2) return from[0] ?? null;
    const items = from.map((entry) => `${reveal(entry.name)} — ${entry.notebook.split("/").pop() || entry.cwd}`);
    const { value } = await InputDialog.getItem({ title, items });
    return value === null ? null : (from[items.indexOf(value)] ?? null);
  };

  commands.addCommand(COMMANDS.openPanel, {
    label: "Show the Codex Sessions",
    icon: codexIcon,
    execute: openPanel,
  });
  commands.addCommand(COMMANDS.openSession, {
    label: "Open a Codex Session in a Tab",
    isEnabled: () => watch.entries.length > 0 || watch.state !== "live",
    execute: async (args) => {
      // A tab of the last visit is opened before the list of sessions is there.
      const named = typeof args.session === "string" ? args.session : null;
      const session = named ?? (await pick(args, [...watch.entries].reverse(), "Open in a tab"))?.id;
      if (session !== undefined) await openTab(session, readFace(args.face), args.area === "right" ? "right" : "main");
    },
  });
  commands.addCommand(COMMANDS.openBeside, {
    label: "Open a Codex Session in the Right Sidebar",
    isEnabled: () => watch.entries.length > 0,
    execute: async (args) => {
      const entry = await pick(args, [...watch.entries].reverse(), "Open in the sidebar");
      if (entry !== null) await openTab(entry.id, readFace(args.face), "right");
    },
  });
  commands.addCommand(COMMANDS.openWindow, {
    label: "Open the Codex Terminal in a Window",
    isEnabled: () => running().length > 0,
    execute: async (args) => {
      const entry = await pick(args, running(), "Open the terminal of");
      if (entry !== null) await actions.openWindow(entry);
    },
  });
  commands.addCommand(COMMANDS.watchInWindow, {
    label: "Watch the Codex Terminal in a Window",
    isEnabled: () => running().length > 0,
    execute: async (args) => {
      const entry = await pick(args, running(), "Watch the terminal of");
      if (entry !== null) actions.watchInWindow(entry);
    },
  });
  commands.addCommand(COMMANDS.stopTurn, {
    label: "Stop the Running Codex Turn",
    isEnabled: () => watch.entries.some(isBusy),
    execute: async (args) => {
      const entry = await pick(args, watch.entries.filter(isBusy), "Stop the turn of");
      if (entry !== null) await actions.stop(entry);
    },
  });
  commands.addCommand(COMMANDS.closeSession, {
    label: "Close a Codex Session",
    isEnabled: () => running().length > 0,
    execute: async (args) => {
      const entry = await pick(args, running(), "Close");
      if (entry !== null) await actions.close(entry);
    },
  });
  commands.addCommand(COMMANDS.nextWaiting, {
    label: "Go to the Next Codex Session That Waits for You",
    execute: () => actions.openNextWaiting(),
  });
  commands.addCommand(COMMANDS.newNotebook, {
    label: (args) => (args.isLauncher === true ? "Codex Notebook" : "New Notebook with Codex"),
    caption: "A new notebook with the lines that start Codex",
    icon: codexIcon,
    execute: (args) => actions.newNotebook(typeof args.cwd === "string" ? args.cwd : ""),
  });
  const refresh = (): void => {
    for (const name of [COMMANDS.openSession, COMMANDS.openBeside, COMMANDS.openWindow, COMMANDS.watchInWindow, COMMANDS.stopTurn, COMMANDS.closeSession]) commands.notifyCommandChanged(name);
  };
  watch.changed.connect(refresh);
}
