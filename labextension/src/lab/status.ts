/** The item of the status bar: how many sessions wait for the person, or else run. */

import { type ISignal, Signal } from "@lumino/signaling";
import { Widget } from "@lumino/widgets";
import { isBusy, isWaiting } from "./actions";
import type { Watch } from "./watch";

export class StatusItem extends Widget {
  readonly #button = document.createElement("button");
  readonly #news = new Signal<this, void>(this);

  constructor(
    private readonly watch: Watch,
    onClick: () => void,
  ) {
    super();
    this.addClass("jp-mod-highlighted");
    this.#button.className = "codex-status jp-StatusBar-TextItem";
    this.#button.type = "button";
    this.#button.title = "Show the Codex sessions";
    this.#button.addEventListener("click", onClick);
    this.node.append(this.#button);
    watch.changed.connect(this.#draw, this);
    this.#draw();
  }

  override dispose(): void {
    this.watch.changed.disconnect(this.#draw, this);
    super.dispose();
  }

  /** Whether there is something to tell. */
  get isActive(): boolean {
    return this.#words() !== "";
  }

  get activeChanged(): ISignal<this, void> {
    return this.#news;
  }

  #words(): string {
    const { entries } = this.watch;
    const waiting = entries.filter(isWaiting).length;
    const running = entries.filter(isBusy).length;
    if (waiting > 0) return `Codex: ${waiting} waiting`;
    return running > 0 ? `Codex: ${running} running` : "";
  }

  #draw(): void {
    const words = this.#words();
    if (this.#button.textContent !== words) this.#button.textContent = words;
    this.#button.classList.toggle("codex-waits", words.endsWith("waiting"));
    this.#news.emit();
  }
}
