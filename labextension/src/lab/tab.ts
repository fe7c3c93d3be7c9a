/** A session in a tab of its own: all of it, live, as conversation or as terminal. */

import { Widget } from "@lumino/widgets";
import type { SessionView } from "../core/view";
import { reveal } from "../core/reveal";
import type { Face } from "../tokens";
import type { Codex } from "./codex";
import type { Held } from "./hub";
import { codexIcon } from "./icon";

/** Where in the page it stands: among the notebooks, or in the right sidebar. */
export type Area = "main" | "right";

export class SessionTab extends Widget {
  area: Area = "main";
  readonly #held: Held;
  readonly #detach: () => void;
  #view: SessionView | null = null;
  #isTerminalWanted = false;

  constructor(
    private readonly codex: Codex,
    readonly session: string,
    /** What it shows at first. */
    readonly face: Face = "conversation",
  ) {
    super();
    this.addClass("codex-tab");
    this.title.icon = codexIcon;
    this.title.closable = true;
    this.#held = codex.hub.open(session);
    this.#detach = this.#held.feed.attach(({ rest }) => rest && this.#name());
    codex.watch.changed.connect(this.#name, this);
    this.#name();
    codex.showing.add(session, this);
    void this.#draw();
  }

  override dispose(): void {
    this.codex.watch.changed.disconnect(this.#name, this);
    this.#detach();
    this.#view?.dispose();
    this.#held.release();
    super.dispose();
  }

  /** Shows the terminal, and has it opened when none runs. */
  openTerminal(): void {
    this.#isTerminalWanted = true;
    this.#view?.faces.openTerminal();
  }

  async #draw(): Promise<void> {
    const { SessionView, styled } = await import("./drawing");
    await styled;
    if (this.isDisposed) return;
    const root = document.createElement("div");
    this.node.append(root);
    const { face } = this;
    const { services } = this.codex;
    this.#view = new SessionView(root, this.#held.feed, { from: 0, to: null }, { services, face, isTall: true });
    if (this.#isTerminalWanted) this.#view.faces.openTerminal();
  }

  #name(): void {
    const { session } = this.#held.feed.replica.transcript;
    const told = typeof session === "object" && session !== null && "name" in session ? session.name : "";
    const listed = this.codex.watch.find(this.session)?.name;
    this.title.label = reveal((typeof told === "string" && told) || listed || "Codex");
    this.title.caption = `Codex session ${this.title.label}`;
  }
}
