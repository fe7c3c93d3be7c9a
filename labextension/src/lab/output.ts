/**
 * The renderer of a session in an output of a notebook.
 *
 * It draws what the file holds at once, and then what comes by the hub. A kernel updates its output often; the view stays the
 * same one, with its focus, its scroll positions and what was typed into it.
 */

import type { IRenderMime } from "@jupyterlab/rendermime-interfaces";
import { Widget } from "@lumino/widgets";
import { objectOf } from "../core/json";
import type { SessionView } from "../core/view";
import type { Codex } from "./codex";
import type { Held } from "./hub";
import { Keeper } from "./keeper";
import { SESSION_TYPE, type Saved, readSaved } from "./saved";

interface Drawn {
  session: string;
  view: SessionView;
  held: Held;
  keeper: Keeper;
}

export class SessionOutput extends Widget implements IRenderMime.IRenderer {
  private model: IRenderMime.IMimeModel | null = null;
  private saved: Saved | null = null;
  private drawn: Drawn | null = null;

  constructor(private readonly codex: Codex) {
    super();
    this.addClass("codex-output");
  }

  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    this.model = model;
    this.saved = readSaved(model.data[SESSION_TYPE]);
    if (this.saved === null) return this.showText(model);
    const { SessionView, styled } = await import("./drawing");
    await styled;
    // Another update may have come meanwhile; its call does the rest.
    const { saved } = this;
    if (this.isDisposed || saved === null || this.model !== model) return;
    if (this.drawn?.session === saved.session) this.refresh(this.drawn, saved);
    else this.draw(SessionView, saved);
  }

  override dispose(): void {
    this.clear();
    super.dispose();
  }

  private draw(View: typeof SessionView, saved: Saved): void {
    this.clear();
    const { codex } = this;
    const held = codex.hub.open(saved.session, { isStarting: isNew(saved) });
    const root = document.createElement("div");
    this.node.replaceChildren(root);
    const view = new View(root, held.feed, saved.window, {
      services: codex.services,
      saved: { n: saved.n, transcript: saved.transcript },
    });
    const keeper = new Keeper(held.feed, codex.server, {
      saved: () => this.saved,
      replace: (data) => this.model?.setData({ data }),
    });
    this.drawn = { session: saved.session, view, held, keeper };
    codex.showing.add(saved.session, this);
  }

  private refresh({ view, held, keeper }: Drawn, saved: Saved): void {
    view.setWindow(saved.window);
    view.setSaved({ n: saved.n, transcript: saved.transcript });
    if (saved.n > held.feed.replica.n) this.codex.hub.revive(saved.session);
    keeper.look();
  }

  private clear(): void {
    this.drawn?.keeper.dispose();
    this.drawn?.view.dispose();
    this.drawn?.held.release();
    this.drawn = null;
  }

  /** For data of another version, or none at all. */
  private showText(model: IRenderMime.IMimeModel): void {
    this.clear();
    const text = model.data["text/plain"];
    const box = document.createElement("pre");
    box.textContent = typeof text === "string" ? text : "A Codex session that this version of codex_nb cannot draw.";
    this.node.replaceChildren(box);
  }
}

/** Whether the cell that made it has just begun. */
function isNew({ transcript }: Saved): boolean {
  const status = objectOf(transcript.session).status ?? "starting";
  return status === "starting";
}
