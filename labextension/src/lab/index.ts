/**
 * The plugins of the JupyterLab extension.
 *
 * What a page lacks, such as Notebook 7 a status bar and a launcher, is left out.
 */

import {
  ILabShell,
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin,
} from "@jupyterlab/application";
import { ICommandPalette } from "@jupyterlab/apputils";
import { IEditorLanguageRegistry } from "@jupyterlab/codemirror";
import { ILauncher } from "@jupyterlab/launcher";
import { ILatexTypesetter, IRenderMimeRegistry } from "@jupyterlab/rendermime";
import { ISettingRegistry } from "@jupyterlab/settingregistry";
import { IStatusBar } from "@jupyterlab/statusbar";
import labStyle from "lab.stylesheet!=!./lab.css";
import { publishPage } from "../page";
import { type Codex, type Desk, ICodex, IDesk } from "./codex";
import { CATEGORY, COMMANDS, addCommands } from "./commands";
import { makeDesk } from "./desk";
import { SessionHub } from "./hub";
import { Notices } from "./notices";
import { SessionOutput } from "./output";
import { SESSION_TYPE } from "./saved";
import { Server } from "./server";
import { makeServices } from "./services";
import { addNoticeSettings } from "./settings";
import { Showing } from "./showing";
import { StatusItem } from "./status";
import { addStyle } from "./styles";
import { Watch } from "./watch";

/** Below the widget's -10 and the built-in types: where our type is, it is drawn. */
const RANK = -20;

const sessions: JupyterFrontEndPlugin<Codex> = {
  id: "codex-nb:sessions",
  description: "Draws Codex sessions in notebooks, and connects to them.",
  autoStart: true,
  provides: ICodex,
  requires: [IRenderMimeRegistry],
  optional: [ILatexTypesetter, IEditorLanguageRegistry],
  activate: (
    app: JupyterFrontEnd,
    rendermime: IRenderMimeRegistry,
    typesetter: ILatexTypesetter | null,
    languages: IEditorLanguageRegistry | null,
  ): Codex => {
    void addStyle(labStyle);
    const server = new Server(app.serviceManager.serverSettings);
    const watch = new Watch(server);
    const hub = new SessionHub(server, watch);
    const services = makeServices(app, typesetter, languages);
    const codex = { server, watch, hub, showing: new Showing(), services };
    rendermime.addFactory(
      { safe: true, mimeTypes: [SESSION_TYPE], createRenderer: () => new SessionOutput(codex) },
      RANK,
    );
    publishPage({ version: 1, services, open: (session) => hub.open(session) });
    return codex;
  },
};

const desk: JupyterFrontEndPlugin<Desk> = {
  id: "codex-nb:desk",
  description: "The side panel with the Codex sessions, and their tabs.",
  autoStart: true,
  provides: IDesk,
  requires: [ICodex],
  optional: [ILabShell, ILayoutRestorer, ICommandPalette, ILauncher],
  activate: (
    app: JupyterFrontEnd,
    codex: Codex,
    labShell: ILabShell | null,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null,
    launcher: ILauncher | null,
  ): Desk => {
    const made = makeDesk(app, codex, labShell, restorer);
    addCommands(app, codex, made);
    const { allowNotifications: _, ...own } = COMMANDS;
    for (const command of Object.values(own)) palette?.addItem({ command, category: CATEGORY });
    launcher?.add({ command: COMMANDS.newNotebook, category: "Other", args: { isLauncher: true }, rank: 3 });
    return made;
  },
};

const status: JupyterFrontEndPlugin<void> = {
  id: "codex-nb:status",
  description: "Counts in the status bar what waits for you.",
  autoStart: true,
  requires: [ICodex, IDesk],
  optional: [IStatusBar],
  activate: (_: JupyterFrontEnd, { watch }: Codex, { openPanel }: Desk, statusBar: IStatusBar | null): void => {
    if (statusBar === null) return;
    const item = new StatusItem(watch, openPanel);
    statusBar.registerStatusItem("codex-nb:status", {
      item,
      align: "left",
      rank: 10,
      isActive: () => item.isActive,
      activeStateChanged: item.activeChanged,
    });
  },
};

const notifications: JupyterFrontEndPlugin<void> = {
  id: "codex-nb:notifications",
  description: "Tells you that Codex waits for you when you look elsewhere.",
  autoStart: true,
  requires: [ICodex, IDesk],
  optional: [ISettingRegistry, ICommandPalette],
  activate: async (
    app: JupyterFrontEnd,
    codex: Codex,
    { actions }: Desk,
    registry: ISettingRegistry | null,
    palette: ICommandPalette | null,
  ): Promise<void> => {
    const settings = await addNoticeSettings(app, registry, notifications.id);
    palette?.addItem({ command: COMMANDS.allowNotifications, category: CATEGORY });
    new Notices(codex, actions, settings);
  },
};

export default [sessions, desk, status, notifications];
