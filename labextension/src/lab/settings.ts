/** The settings of the notifications, and the command that asks the browser for its permission. */

import type { JupyterFrontEnd } from "@jupyterlab/application";
import { Notification as Toast } from "@jupyterlab/apputils";
import type { ISettingRegistry } from "@jupyterlab/settingregistry";
import { COMMANDS } from "./commands";
import type { NoticeSettings } from "./notices";

const DEFAULTS: NoticeSettings = { toast: true, browser: false };
const SHOWN_MS = 5000;

/** Adds the command, and answers a function that tells the settings as they are at the moment. */
export async function addNoticeSettings(
  app: JupyterFrontEnd,
  registry: ISettingRegistry | null,
  plugin: string,
): Promise<() => NoticeSettings> {
  const settings = (await registry?.load(plugin).catch(() => null)) ?? null;
  app.commands.addCommand(COMMANDS.allowNotifications, {
    label: "Allow Browser Notifications When Codex Waits",
    isEnabled: () => "Notification" in globalThis,
    execute: async () => {
      // Browsers ask only after a click or a key of the person, such as the one that ran this command.
      const isGranted = (await Notification.requestPermission()) === "granted";
      await settings?.set("browser", isGranted);
      if (isGranted) Toast.success("The browser tells you when Codex waits and this page is not visible.", { autoClose: SHOWN_MS });
      else Toast.warning("The browser does not allow notifications of this page. Its settings can.", { autoClose: SHOWN_MS });
    },
  });
  const read = (key: keyof NoticeSettings): boolean => {
    const value = settings?.get(key).composite;
    return typeof value === "boolean" ? value : DEFAULTS[key];
  };
  return () => ({ toast: read("toast"), browser: read("browser") });
}
