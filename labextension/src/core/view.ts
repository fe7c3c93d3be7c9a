/**
 * The view of one session: keeps the document in step with a replica of the transcript.
 *
 * Frames are applied as they come; drawing happens at most once per animation frame, and draws only what was touched.
 * The page is never scrolled and nothing is focused. `dispose` removes everything that was added.
 */

import type { Operation, Session, Transport, Window } from "../tokens";
import { drawApproval } from "./approval";
import { type TailValue, drawEnd, drawNotice, drawPlan, drawTail } from "./blocks";
import type { Context, Drawing } from "./context";
import { element, setText } from "./dom";
import { Header, type HeaderValue, type State, stateOf } from "./header";
import { drawItem } from "./items";
import { isObject } from "./json";
import { type Entry, type Layout, layoutOf } from "./layout";
import { newestSnapshot, remember } from "./memory";
import { readApproval, readItem, readNotice, readPlan, readSession, readTurn, readUsage } from "./read";
import { Replica, nothingTouched } from "./state";

/** So long may one frame spend on making new entries; the rest of a long transcript follows in the next. */
const BUDGET_MS = 40;
const SNAPSHOT_PATIENCE_MS = 5000;

interface Shown {
  entry: Entry;
  element: HTMLElement;
  update(): void;
  tick(): void;
}

export class SessionView implements Context {
  session: Session = readSession(null);
  private readonly replica = new Replica();
  private readonly header: Header;
  private readonly plan = drawPlan();
  private readonly list = element("div", "cnb-entries");
  private readonly tail = drawTail();
  private readonly status = element("div", "cnb-spoken");
  private readonly shown = new Map<string, Shown>();
  private touched = nothingTouched();
  private frame = 0;
  private timer: ReturnType<typeof setInterval> | null = null;
  private askedAt = -Infinity;
  /** Seconds by which the clock of the session host is ahead of ours. */
  private ahead: number | null = null;
  private spokenState: State["name"] | null = null;
  private readonly stopListening: () => void;

  constructor(
    private readonly root: HTMLElement,
    private readonly transport: Transport,
    private window: Window,
    snapshot: unknown,
  ) {
    this.header = new Header(this);
    this.list.setAttribute("aria-live", "off");
    this.status.setAttribute("role", "status");
    root.classList.add("cnb");
    root.setAttribute("role", "region");
    const body = element("div", "cnb-body", this.plan.element, this.list, this.tail.element);
    root.append(this.header.element, body, this.status);
    this.stopListening = transport.listen((frame) => this.receive(frame));
    this.receive(newestSnapshot(snapshot));
    this.touched.rest = true;
    this.draw();
    // What was sent between the making of the snapshot and this moment is lost.
    this.askForSnapshot();
  }

  request(operation: Operation): Promise<void> {
    return this.transport.request(operation);
  }

  now(): number {
    return Date.now() / 1000 + (this.ahead ?? 0);
  }

  setWindow(window: Window): void {
    this.window = window;
    this.touched.structure = true;
    this.schedule();
  }

  receive(frame: unknown): void {
    this.learnClock(frame);
    const isWhole = this.replica.applyFrame(frame, this.touched);
    if (isObject(frame) && frame.frame === "snapshot") this.askedAt = -Infinity;
    remember(this.replica);
    if (!isWhole) this.askForSnapshot();
    this.schedule();
  }

  dispose(): void {
    this.stopListening();
    cancelAnimationFrame(this.frame);
    if (this.timer !== null) clearInterval(this.timer);
    this.root.replaceChildren();
    this.root.classList.remove("cnb");
    this.root.removeAttribute("role");
    this.root.removeAttribute("aria-label");
  }

  private askForSnapshot(): void {
    if (performance.now() - this.askedAt < SNAPSHOT_PATIENCE_MS) return;
    this.askedAt = performance.now();
    this.transport.requestSnapshot();
  }

  /** An event is never older than its arrival, so the largest lead that was seen is nearest to the truth. */
  private learnClock(frame: unknown): void {
    if (!isObject(frame) || frame.frame !== "events" || !Array.isArray(frame.events)) return;
    const last = frame.events[frame.events.length - 1];
    if (!isObject(last) || typeof last.t !== "number") return;
    const lead = last.t - Date.now() / 1000;
    this.ahead = this.ahead === null ? lead : Math.max(this.ahead, lead);
  }

  private schedule(): void {
    if (this.frame === 0) this.frame = requestAnimationFrame(() => this.draw());
  }

  private draw(): void {
    this.frame = 0;
    const { touched } = this;
    this.touched = nothingTouched();
    const { transcript } = this.replica;
    if (touched.rest) {
      this.session = readSession(transcript.session);
      this.root.setAttribute("aria-label", `Codex session ${this.session.name}`.trim());
    }
    for (const shown of this.shown.values()) {
      const { kind, id } = shown.entry;
      if (kind === "item" ? touched.items.has(id) : touched.rest) shown.update();
    }
    // More text of a known item moves nothing, and it is what nearly all frames bring.
    if (!touched.structure && !touched.rest) return;
    const layout = layoutOf(transcript, this.window, this.session.threadId);
    const isComplete = this.reconcile(layout);
    this.drawFrame(layout);
    if (isComplete) return;
    this.touched.structure = true;
    this.schedule();
  }

  /** Makes the list of entries what the layout says; false when the time ran out before the end. */
  private reconcile({ entries }: Layout): boolean {
    const wanted = new Set(entries.map((entry) => entry.key));
    for (const [key, { element: gone }] of this.shown) {
      if (wanted.has(key)) continue;
      gone.remove();
      this.shown.delete(key);
    }
    const until = performance.now() + BUDGET_MS;
    let place = this.list.firstElementChild;
    for (const entry of entries) {
      let shown = this.shown.get(entry.key);
      const isNew = shown === undefined;
      if (shown === undefined) {
        if (performance.now() > until) return false;
        shown = this.make(entry);
        this.shown.set(entry.key, shown);
      }
      if (shown.element === place) place = place.nextElementSibling;
      else this.list.insertBefore(shown.element, place);
      // A new entry is drawn in its place: a box cannot scroll to its end before it is in the document.
      if (isNew) shown.update();
    }
    return true;
  }

  private make(entry: Entry): Shown {
    const { replica } = this;
    switch (entry.kind) {
      case "item": {
        const drawing = drawItem(entry.type, this);
        if (entry.isForeign) drawing.element.classList.add("cnb-foreign");
        return show(entry, drawing, () => replica.find("items", entry.id), readItem);
      }
      case "approval":
        return show(entry, drawApproval(this), () => replica.find("approvals", entry.id), readApproval);
      case "notice":
        return show(entry, drawNotice(), () => replica.find("notices", entry.id), readNotice);
      case "end":
        return show(entry, drawEnd(), () => replica.find("turns", entry.id), readTurn);
    }
  }

  /** Draws what depends on everything: header, tail, announcements, and whether a clock ticks. */
  private drawFrame(layout: Layout): void {
    const turn = layout.turns[layout.turns.length - 1] ?? null;
    const plan = readPlan(this.replica.transcript.plan);
    const isOwn = plan?.turn === "" || layout.turns.some(({ id }) => id === plan?.turn);
    this.plan.update(isOwn ? plan : null);
    const value: HeaderValue = {
      session: this.session,
      turn,
      isWaiting: layout.pending.length > 0,
      isLatest: this.window.to === null,
      usage: readUsage(this.replica.transcript.usage),
    };
    this.header.update(value);
    const state = stateOf(value);
    this.root.dataset.cnbState = state.name;
    this.tail.update({ session: this.session, kind: tailKind(state, layout, this.session) });
    this.announce(state, layout);
    this.setTicking(state.name === "working" || state.name === "waiting");
  }

  private announce(state: State, layout: Layout): void {
    const before = this.spokenState;
    this.spokenState = state.name;
    if (before === null || before === state.name) return;
    const words: Partial<Record<State["name"], string>> = {
      waiting: `Codex waits for your approval: ${layout.pending[0]?.title ?? ""}`,
      done: "Codex finished",
      failed: "Codex failed",
      interrupted: "Codex was interrupted",
    };
    setText(this.status, words[state.name] ?? "");
  }

  private setTicking(isTicking: boolean): void {
    if (isTicking === (this.timer !== null)) return;
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = isTicking ? setInterval(() => this.tick(), 1000) : null;
  }

  private tick(): void {
    this.header.tick();
    for (const shown of this.shown.values()) shown.tick();
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

function tailKind(state: State, layout: Layout, session: Session): TailValue["kind"] {
  if (state.name === "starting") return "starting";
  if (state.name === "working") return layout.isBusy ? "nothing" : "working";
  const last = layout.turns[layout.turns.length - 1];
  if (session.status === "failed" && last?.error == null) return "failed";
  return state.name === "ready" && layout.entries.length === 0 ? "ready" : "nothing";
}
