/** The side panel: this user's sessions, what each is doing, and what can be done with it. Drawn when it is first seen. */

import { Widget } from "@lumino/widgets";
import { codexIcon } from "./icon";
import type { PanelActions, SessionsList } from "./panel-list";
import type { Watch } from "./watch";

export class SessionsPanel extends Widget {
  #list: Promise<SessionsList | null> | null = null;

  constructor(
    private readonly watch: Watch,
    private readonly actions: PanelActions,
  ) {
    super();
    this.id = "codex-nb-panel";
    this.addClass("codex-panel");
    this.title.icon = codexIcon;
    this.title.caption = "Codex";
    this.node.setAttribute("role", "region");
    this.node.setAttribute("aria-label", "Sessions of Codex");
    const title = document.createElement("h2");
    title.className = "codex-title";
    title.textContent = "Codex";
    this.node.append(title);
  }

  override dispose(): void {
    void this.#list?.then((list) => list?.dispose());
    super.dispose();
  }

  protected override onAfterAttach(): void {
    this.#look();
  }

  protected override onAfterShow(): void {
    this.#look();
  }

  protected override onAfterHide(): void {
    this.#look();
  }

  #look(): void {
    if (this.isVisible) this.#list ??= this.#draw();
    void this.#list?.then((list) => list?.setVisible(this.isVisible));
  }

  async #draw(): Promise<SessionsList | null> {
    const { SessionsList } = await import("./drawing");
    return this.isDisposed ? null : new SessionsList(this.node, this.watch, this.actions);
  }
}
