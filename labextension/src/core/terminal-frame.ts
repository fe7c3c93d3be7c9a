/**
 * The frame in which a terminal runs: a page of this server, and nothing else.
 *
 * The server is asked for the page before the frame loads it, so that its refusal is told in words. A connection that broke
 * is made again by a new frame. The frame takes no focus by itself: Enter on the box around it, or a click, gives it the
 * keyboard, and the keys that the page in it listens for give the keyboard back to the box.
 */

import type { Json } from "../tokens";
import { element, focusOn, setAttributes } from "./dom";
import { isObject, objectOf, textOf } from "./json";
import { Retry } from "./retry";
import { lookOf, watchLook } from "./terminal-look";
import type { FrameState } from "./terminal-stage";

/** As the server and the registry of sessions have it. */
const SESSION_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
/** So long may the page take until its connection is open. */
const PATIENCE_MS = 20_000;
/** A connection that held for so long was a good one. */
const SETTLED_MS = 5000;

/** The address of a session's terminal; null when it would not be a page of this origin. */
export function terminalUrl(serverUrl: string, session: string): string | null {
  const url = new URL(`${serverUrl.replace(/\/*$/, "")}/codex-nb/terminal/${session}/`, location.href);
  return SESSION_ID.test(session) && url.origin === location.origin ? url.href : null;
}

const START: FrameState = { name: "connecting", words: "" };

export interface TerminalFrame {
  readonly element: HTMLElement;
  state(): FrameState;
  /** Shows the terminal at an address, unless it does. */
  open(url: string, title: string): void;
  /** Takes the frame away; the terminal goes on without it. */
  close(): void;
}

export function makeTerminalFrame(onChange: () => void): TerminalFrame {
  const box = element("div", "cnb-screen");
  let state = START;
  let frame: HTMLIFrameElement | null = null;
  let shown = "";
  let name = "";
  let asking: AbortController | null = null;
  let patience: ReturnType<typeof setTimeout> | undefined;
  let openedAt: number | null = null;
  let showing: AbortController | null = null;
  setAttributes(box, { role: "group", tabindex: "0" });

  const clear = (): void => {
    asking?.abort();
    clearTimeout(patience);
    retry.cancel();
    frame?.remove();
    frame = openedAt = null;
  };
  const setState = (name: FrameState["name"], words = ""): void => {
    state = { name, words };
    onChange();
  };
  const fail = (why: FrameState["name"], words?: string): void => {
    // The focus stays where the terminal will be again.
    if (box.contains(document.activeElement)) focusOn(box);
    clear();
    if (why !== "refused") retry.later();
    setState(why, words);
  };
  const wait = (): void => {
    clearTimeout(patience);
    patience = setTimeout(() => fail("lost"), PATIENCE_MS);
  };
  const load = async (): Promise<void> => {
    clear();
    const { signal } = (asking = new AbortController());
    wait();
    const problem = await problemOf(shown, signal);
    if (signal.aborted) return;
    if (problem !== null) return fail(problem.name, problem.words);
    frame = element("iframe");
    // A page of the browser's own says that there is none, now or after a move in the document.
    frame.onload = () => frame?.contentDocument === null && fail("lost");
    // Not in the order of the Tab key, which a terminal would keep to itself.
    setAttributes(frame, { title: name, tabindex: "-1", src: shown });
    box.append(frame);
  };
  const retry = new Retry(() => void load());

  const followLook = (): void => {
    const inside = frame?.contentWindow;
    // Where ttyd's page keeps xterm.js.
    const terminal: unknown = Reflect.get(inside ?? {}, "term");
    if (openedAt === null || !isObject(terminal) || !isObject(terminal.options)) return;
    Object.assign(terminal.options, lookOf(box));
    // It fits its rows and columns then; letters may have another size.
    inside?.dispatchEvent(new Event("resize"));
  };
  const onMessage = ({ origin, source, data }: MessageEvent<unknown>): void => {
    if (origin !== location.origin || frame === null || source !== frame.contentWindow || !isObject(data)) return;
    if (data["codex-nb"] === "leave") focusOn(box);
    if (data["codex-nb"] !== "state") return;
    if (data.state === "open") {
      clearTimeout(patience);
      openedAt = performance.now();
      followLook();
      setState("open");
    } else if (data.state === "closed") {
      if (openedAt !== null && performance.now() - openedAt > SETTLED_MS) retry.reset();
      // Why it closed, the answer to the next question tells.
      fail("lost");
    } else {
      // A frame that was moved in the page loads anew.
      wait();
      setState("connecting");
    }
  };
  const onKey = (event: KeyboardEvent): void => {
    const { key, target, shiftKey, ctrlKey, altKey, metaKey } = event;
    const isEnter = key === "Enter" && !(shiftKey || ctrlKey || altKey || metaKey);
    if (!isEnter || target !== box || state.name !== "open") return;
    event.preventDefault();
    event.stopImmediatePropagation();
    frame?.contentWindow?.focus();
  };

  return {
    element: box,
    state: () => state,
    open(url, title) {
      name = title;
      setAttributes(box, { "aria-label": title, "aria-description": "Press Enter to type in it" });
      if (shown === url) return;
      this.close();
      shown = url;
      const { signal } = (showing = new AbortController());
      addEventListener("message", onMessage, { signal });
      // Before JupyterLab, for which Enter beside a cell means to edit the cell.
      addEventListener("keydown", onKey, { signal, capture: true });
      watchLook(followLook, signal);
      void load();
    },
    close() {
      if (shown === "") return;
      shown = "";
      showing?.abort();
      clear();
      retry.reset();
      state = START;
    },
  };
}

/** What stands in the way of loading a page; null when nothing does. */
async function problemOf(url: string, signal: AbortSignal): Promise<FrameState | null> {
  try {
    // A redirection leads to a login and not to the terminal.
    const response = await fetch(url, { signal, redirect: "manual", cache: "no-cache" });
    if (response.ok) {
      // All of it, for the cache, from which the frame takes it.
      await response.text();
      return null;
    }
    // An error of our server has words; any other page has none.
    const { message, hint } = objectOf((await response.json().catch(() => null)) as Json);
    const words = `${textOf(message)} ${textOf(hint)}`;
    return { name: response.status < 500 ? "refused" : "unreachable", words };
  } catch {
    return { ...START, name: "lost" };
  }
}
