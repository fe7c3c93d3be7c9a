/** What our JupyterLab extension offers to the widgets of its page, which are modules of their own. */

import type { Feed } from "./core/feed";
import type { Services } from "./tokens";

const KEY = Symbol.for("codex-nb.page");

export interface Page {
  /** Of this interface; a widget of another version uses its comm. */
  version: 1;
  services: Services;
  /** The feed of a session, shared with all who opened it; each releases it once. */
  open(session: string): { feed: Feed; release(): void };
}

export function publishPage(page: Page): void {
  Reflect.set(globalThis, KEY, page);
}

export function pageOf(): Page | null {
  const page: unknown = Reflect.get(globalThis, KEY);
  return isPage(page) ? page : null;
}

function isPage(value: unknown): value is Page {
  return typeof value === "object" && value !== null && "version" in value && value.version === 1;
}
