/**
 * The view of one session: keeps the document in step with a replica of the transcript.
 *
 * Frames are applied as they come; drawing happens at most once per animation frame, and draws only what was touched.
 * The page is never scrolled and nothing is focused. A view in a tab of its own (the class `cnb-tall`) scrolls its list, and
 * stays at its end when it was there. `dispose` removes everything that was added.
 */

import type { Face, JsonObject, Operation, Services, Session, Window } from "../tokens";
import { drawApproval } from "./approval";
import { type TailValue, drawEnd, drawNotice, drawPlan, drawTail } from "./blocks";
import { type Composer, drawComposer } from "./composer";
import type { Context, Drawing } from "./context";
import { element, focusOn } from "./dom";
import { type Faces, drawFaces } from "./faces";
import type { Feed } from "./feed";
import { type Header, type HeaderValue, drawHeader } from "./header";
import { drawItem } from "./items";
import { objectOf, textOf } from "./json";
import { type Entry, type Layout, layoutOf, promptsOf } from "./layout";
import {
  readApproval,
  readEnded,
  readItem,
  readLimits,
  readNotice,
  readPlan,
  readQueue,
  readSession,
  readTerminal,
  readTurn,
  readUsage,
} from "./read";
import { followEnd } from "./scrolling";
import { Speaker } from "./speaker";
import { type Situation, type Standing, standingOf } from "./standing";
import { type Collection, Replica, type Touched, nothingTouched } from "./state";
import { Stopper } from "./stopper";

/** So long may one frame spend on making new entries; the rest of a long transcript follows in the next. */
const BUDGET_MS = 40;
/** A transcript with more entries is laid out only where a person sees it. */
const MANY = 100;
const GUESSED_SIZE = "auto 60px";

interface Shown {
  entry: Entry;
  element: HTMLElement;
  update(): void;
  tick(): void;
}

export interface ViewOptions {
  services?: Services;
  /** What is known of the session before its feed says anything: the transcript of a notebook file, cut to the window. */
  saved?: JsonObject | null;
  /** The view has a tab to itself and fills its height. */
  isTall?: boolean;
  /** What it shows at first. */
  face?: Face;
}

export class SessionView implements Context {
  session: Session = readSession(null);
  readonly #page: Services;
  #saved: Replica | null = null;
  readonly #stopper: Stopper;
  /** Which face of the thread it shows. */
  readonly faces: Faces;
  readonly #header: Header;
  readonly #composer: Composer;
  readonly #plan = drawPlan();
  readonly #list = element("div", "cnb-entries");
  readonly #tail = drawTail();
  readonly #speaker = new Speaker();
  readonly #shown = new Map<string, Shown>();
  #touched = nothingTouched();
  #frame = 0;
  #timer: ReturnType<typeof setInterval> | null = null;
  readonly #detach: () => void;
  readonly #stopFollowing: () => void;

  constructor(
    private readonly root: HTMLElement,
    private readonly feed: Feed,
    private window: Window,
    { services = {}, saved = null, isTall = false, face = "conversation" }: ViewOptions = {},
  ) {
    this.#page = services;
    this.#stopper = new Stopper(this, (stopping) => {
      this.#header.showStopping(stopping);
      this.#composer.showStopping(stopping);
    });
    this.faces = drawFaces({
      services,
      face,
      isTall,
      request: (operation) => feed.request(operation),
      say: (words) => this.#header.say(words),
      takeFocus: () => focusOn(root),
      onChange: () => this.#note({ ...nothingTouched(), rest: true }),
    });
    this.#header = drawHeader(this, this.#stopper, this.faces.controls);
    this.#composer = drawComposer(this, {
      stopper: this.#stopper,
      prompts: () => promptsOf(this.#replica.transcript, this.session.threadId),
      leave: () => focusOn(root),
    });
    this.#list.setAttribute("aria-live", "off");
    root.classList.add("cnb");
    if (isTall) root.classList.add("cnb-tall");
    root.setAttribute("role", "region");
    root.tabIndex = -1;
    const content = element("div", "cnb-content", this.#plan.element, this.#list, this.#tail.element);
    const body = element("div", "cnb-body", content);
    root.append(this.#header.element, this.faces.pane, body, this.#composer.element, this.#speaker.element);
    this.#stopFollowing = followEnd(body, content, () => root.classList.contains("cnb-tall"));
    this.#detach = feed.attach((touched) => this.#note(touched));
    this.setSaved(saved);
    const touched = nothingTouched();
    for (const item of this.#replica.transcript.items) touched.items.add(textOf(objectOf(item).id));
    touched.structure = true;
    touched.rest = true;
    this.#touched = touched;
    this.#draw();
  }

  /** The session as its feed tells it; before that, as it was saved. */
  get #replica(): Replica {
    const { replica } = this.feed;
    return replica.n < 0 && this.#saved !== null ? this.#saved : replica;
  }

  /** What the page can do; it cannot open files of another host. */
  get services(): Services {
    const { host } = this.session;
    const { typeset, highlight } = this.#page;
    return host === "" || host === "local" ? this.#page : { ...(typeset && { typeset }), ...(highlight && { highlight }) };
  }

  request(operation: Operation): Promise<JsonObject> {
    return this.feed.request(operation);
  }

  now(): number {
    return this.feed.now();
  }

  setWindow(window: Window): void {
    this.window = window;
    this.#touched.structure = true;
    this.#schedule();
  }

  /** Takes a newer transcript of the notebook file. */
  setSaved(saved: JsonObject | null): void {
    if (saved === null) return;
    this.#saved ??= new Replica();
    this.#note(this.#saved.takeSaved(saved));
  }

  dispose(): void {
    this.#detach();
    cancelAnimationFrame(this.#frame);
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#stopFollowing();
    this.#stopper.dispose();
    this.faces.dispose();
    this.#composer.dispose();
    this.root.replaceChildren();
    this.root.classList.remove("cnb");
    for (const name of ["role", "tabindex", "aria-label"]) this.root.removeAttribute(name);
  }

  #note(touched: Touched): void {
    this.#touched.structure ||= touched.structure;
    this.#touched.rest ||= touched.rest;
    for (const id of touched.items) this.#touched.items.add(id);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#frame === 0) this.#frame = requestAnimationFrame(() => this.#draw());
  }

  #draw(): void {
    this.#frame = 0;
    const touched = this.#touched;
    this.#touched = nothingTouched();
    const { transcript } = this.#replica;
    if (touched.rest) {
      this.session = readSession(transcript.session);
      this.root.setAttribute("aria-label", `Codex session ${this.session.name}`.trim());
    }
    for (const shown of this.#shown.values()) {
      const { kind, id } = shown.entry;
      if (kind === "item" ? touched.items.has(id) : touched.rest) shown.update();
    }
    // More text of a known item moves nothing, and it is what nearly all frames bring.
    if (!touched.structure && !touched.rest) return;
    const layout = layoutOf(transcript, this.window, this.session.threadId);
    const isComplete = this.#reconcile(layout);
    this.#drawFrame(layout);
    if (isComplete) return;
    this.#touched.structure = true;
    this.#schedule();
  }

  /** Makes the list of entries what the layout says; false when the time ran out before the end. */
  #reconcile({ entries }: Layout): boolean {
    const wanted = new Set(entries.map((entry) => entry.key));
    for (const [key, { element: gone }] of this.#shown) {
      if (wanted.has(key)) continue;
      gone.remove();
      this.#shown.delete(key);
    }
    const until = performance.now() + BUDGET_MS;
    let place = this.#list.firstElementChild;
    for (const entry of entries) {
      let shown = this.#shown.get(entry.key);
      const isNew = shown === undefined;
      if (shown === undefined) {
        if (performance.now() > until) return false;
        shown = this.#make(entry);
        if (entries.length > MANY) skipUnseen(shown.element);
        this.#shown.set(entry.key, shown);
      }
      if (shown.element === place) place = place.nextElementSibling;
      else this.#list.insertBefore(shown.element, place);
      // A new entry is drawn in its place: a box cannot scroll to its end before it is in the document.
      if (isNew) shown.update();
    }
    return true;
  }

  #make(entry: Entry): Shown {
    // Through `this` every time: a feed takes over from what was saved.
    const find = (name: Collection, id: string): JsonObject | null => this.#replica.find(name, id);
    switch (entry.kind) {
      case "item": {
        const drawing = drawItem(entry.type, this);
        if (entry.isForeign) drawing.element.classList.add("cnb-foreign");
        return show(entry, drawing, () => find("items", entry.id), readItem);
      }
      case "approval":
        return show(entry, drawApproval(this), () => find("approvals", entry.id), readApproval);
      case "notice":
        return show(entry, drawNotice(), () => find("notices", entry.id), readNotice);
      case "end":
        return show(entry, drawEnd(), () => find("turns", entry.id), readTurn);
    }
  }

  /** Draws what depends on everything: header, tail, input, announcements, and whether a clock ticks. */
  #drawFrame(layout: Layout): void {
    const { transcript } = this.#replica;
    const turn = layout.turns[layout.turns.length - 1] ?? null;
    const plan = readPlan(transcript.plan);
    const isOwn = plan?.turn === "" || layout.turns.some(({ id }) => id === plan?.turn);
    this.#plan.update(isOwn ? plan : null);
    const situation: Situation = {
      session: this.session,
      turn,
      isWaiting: layout.pending.length > 0,
      isLatest: this.window.to === null,
      link: this.feed.link,
    };
    const isHeard = this.feed.replica.n >= 0;
    const stage = this.faces.update({ ...situation, isHeard, terminal: readTerminal(transcript.session) });
    this.root.dataset.cnbFace = this.faces.face();
    const value: HeaderValue = {
      ...situation,
      stage,
      usage: readUsage(transcript.usage),
      limits: readLimits(transcript.rate_limits),
    };
    this.#header.update(value);
    this.#composer.update({
      ...value,
      queue: readQueue(transcript.queue),
      isHeard,
      ended: readEnded(transcript.session),
    });
    const standing = standingOf(value);
    this.root.dataset.cnbState = standing.name;
    this.#tail.update({ session: this.session, kind: tailKind(standing, layout, this.session) });
    this.#speaker.update(standing, layout.pending);
    this.#setTicking(standing.name === "working" || standing.name === "waiting");
  }

  #setTicking(isTicking: boolean): void {
    if (isTicking === (this.#timer !== null)) return;
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = isTicking ? setInterval(() => this.#tick(), 1000) : null;
  }

  #tick(): void {
    this.#composer.tick();
    for (const shown of this.#shown.values()) shown.tick();
  }
}

function show<T, J>(entry: Entry, drawing: Drawing<T>, find: () => J | null, read: (found: J) => T): Shown {
  const update = (): void => {
    const found = find();
    if (found !== null) drawing.update(read(found));
  };
  drawing.element.classList.add("cnb-entry");
  return { entry, element: drawing.element, update, tick: () => drawing.tick?.() };
}

function skipUnseen({ style }: HTMLElement): void {
  style.contentVisibility = "auto";
  style.containIntrinsicSize = GUESSED_SIZE;
}

function tailKind({ name }: Standing, layout: Layout, session: Session): TailValue["kind"] {
  if (name === "starting") return "starting";
  if (name === "working") return layout.isBusy ? "nothing" : "working";
  const last = layout.turns[layout.turns.length - 1];
  if (session.status === "failed" && last?.error == null) return "failed";
  return name === "ready" && layout.entries.length === 0 ? "ready" : "nothing";
}
