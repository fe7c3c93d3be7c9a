/**
 * The renderer of a session in an output of a notebook.
 *
 * It draws what the file holds at once, and then what comes by the hub. A kernel updates its output often; the view stays the
 * same one, with its focus, its scroll positions and what was typed into it.
 */

import type { IRenderMime } from "@jupyterlab/rendermime-interfaces";
import type { PartialJSONObject } from "@lumino/coreutils";
import { Widget } from "@lumino/widgets";
import { isObject, objectOf } from "../core/json";
import type { SessionView } from "../core/view";
import type { Face } from "../tokens";
import type { Codex } from "./codex";
import type { Held } from "./hub";
import { Keeper } from "./keeper";
import { SESSION_TYPE, type Saved, readSaved } from "./saved";

interface Drawn {
  session: string;
  /** What the kernel has it show. */
  face: Face;
  view: SessionView;
  held: Held;
  keeper: Keeper;
}

export class SessionOutput extends Widget implements IRenderMime.IRenderer {
  #model: IRenderMime.IMimeModel | null = null;
  #saved: Saved | null = null;
  #drawn: Drawn | null = null;

  constructor(private readonly codex: Codex) {
    super();
    this.addClass("codex-output");
  }

  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    this.#model = model;
    this.#saved = readSaved(model.data[SESSION_TYPE]);
    if (this.#saved === null) return this.#showText(model);
    const { SessionView, styled } = await import("./drawing");
    await styled;
    // Another update may have come meanwhile; its call does the rest.
    const saved = this.#saved;
    if (this.isDisposed || saved === null || this.#model !== model) return;
    if (this.#drawn?.session === saved.session) this.#refresh(this.#drawn, saved);
    else this.#draw(SessionView, saved);
  }

  override dispose(): void {
    this.#clear();
    super.dispose();
  }

  #draw(View: typeof SessionView, saved: Saved): void {
    this.#clear();
    const { codex } = this;
    const held = codex.hub.open(saved.session, { isStarting: isNew(saved) });
    const root = document.createElement("div");
    this.node.replaceChildren(root);
    const view = new View(root, held.feed, saved.window, {
      services: codex.services,
      face: saved.face,
      saved: { n: saved.n, transcript: saved.transcript },
    });
    const keeper = new Keeper(held.feed, codex.server, {
      saved: () => this.#saved,
      replace: (data) => this.#model?.setData({ data: withFace(data, this.#drawn?.face ?? saved.face) }),
    });
    this.#drawn = { session: saved.session, face: saved.face, view, held, keeper };
    codex.showing.add(saved.session, this);
  }

  #refresh(drawn: Drawn, saved: Saved): void {
    const { view, held, keeper } = drawn;
    if (saved.face !== drawn.face) view.faces.show((drawn.face = saved.face));
    view.setWindow(saved.window);
    view.setSaved({ n: saved.n, transcript: saved.transcript });
    if (saved.n > held.feed.replica.n) this.codex.hub.revive(saved.session);
    keeper.look();
  }

  #clear(): void {
    this.#drawn?.keeper.dispose();
    this.#drawn?.view.dispose();
    this.#drawn?.held.release();
    this.#drawn = null;
  }

  /** For data of another version, or none at all. */
  #showText(model: IRenderMime.IMimeModel): void {
    this.#clear();
    const text = model.data["text/plain"];
    const box = document.createElement("pre");
    box.textContent = typeof text === "string" ? text : "A Codex session that this version of codex_nb cannot draw.";
    this.node.replaceChildren(box);
  }
}

/** The server does not know what an output shows at first. */
function withFace(data: PartialJSONObject, face: Face): PartialJSONObject {
  const bundle = data[SESSION_TYPE];
  return face === "terminal" && isObject(bundle) ? { ...data, [SESSION_TYPE]: { ...bundle, face } } : data;
}

/** Whether the cell that made it has just begun. */
function isNew({ transcript }: Saved): boolean {
  const status = objectOf(transcript.session).status ?? "starting";
  return status === "starting";
}
