/** What the plugins of this extension share. */

import { Token } from "@lumino/coreutils";
import type { Face, Services } from "../tokens";
import type { Actions } from "./actions";
import type { SessionHub } from "./hub";
import type { Server } from "./server";
import type { Showing } from "./showing";
import type { Area } from "./tab";
import type { Watch } from "./watch";

export interface Codex {
  server: Server;
  /** The list of sessions. */
  watch: Watch;
  /** The conversations. */
  hub: SessionHub;
  /** Who shows which session on this page. */
  showing: Showing;
  services: Services;
}

export const ICodex = new Token<Codex>("codex-nb:ICodex", "This user's Codex sessions, as this page knows them.");

/** Where a person finds the sessions. */
export interface Desk {
  actions: Actions;
  openPanel(): void;
  /** Opens a session in a tab of its own, or the tab that shows it; the face is what a new tab shows at first. */
  openTab(session: string, face?: Face, area?: Area): Promise<void>;
}

export const IDesk = new Token<Desk>("codex-nb:IDesk", "The panel and the tabs of the Codex sessions.");
