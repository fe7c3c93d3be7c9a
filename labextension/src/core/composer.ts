/**
 * The foot of the view that shows the end of a session: where a person types.
 *
 * A message is a turn of its own when Codex is idle; while a turn runs it is added to that (steer) or waits for the next
 * (queue), and the buttons say which. Nothing that was typed or attached goes before the session took it. No key reaches the
 * notebook around, whose command mode would act on it. Nothing is focused, except that a box that had the focus when its
 * output was drawn anew has it again.
 */

import type { Link } from "../tokens";
import { drawBox } from "./composer-box";
import { draftOf, keepDraft } from "./composer-drafts";
import { acceptDrops } from "./composer-drop";
import { drawFiles } from "./composer-files";
import { type MetaValue, drawMeta } from "./composer-meta";
import { drawQueue } from "./composer-queue";
import type { Context } from "./context";
import { button, element, focusOn, icon, iconButton, setOff, setText } from "./dom";
import type { Queued } from "./read";
import { isOver, isRunning } from "./standing";
import type { Stopper, Stopping } from "./stopper";
import { messageOf, reveal } from "./text";

export interface ComposerValue extends MetaValue {
  queue: Queued[];
  link: Link;
  /** The session itself was heard, not only what a notebook file kept of it. */
  isHeard: boolean;
  /** The view shows the end of the session. */
  isLatest: boolean;
  /** Why the session ended; "" while it runs. */
  ended: string;
}

type Mode = "hidden" | "ended" | "away" | "idle" | "running";

/** A view that is drawn anew comes back at once; later, the person has gone elsewhere. */
const RETURN_MS = 3000;

const HINTS: Record<Mode, string> = {
  hidden: "",
  ended: "",
  away: "Reconnecting… What you type stays here.",
  idle: "Enter: send · Shift+Enter: new line",
  running: "Enter: add to this turn · Alt+Enter: next turn",
};

function modeOf(value: ComposerValue): Mode {
  const { session, link } = value;
  if (!value.isLatest) return "hidden";
  if (link === "gone" || value.ended || isOver(session)) return "ended";
  if (!value.isHeard) return "hidden";
  if (link !== "live") return "away";
  return isRunning(value) ? "running" : "idle";
}

export interface Composer {
  readonly element: HTMLElement;
  update(value: ComposerValue): void;
  tick(): void;
  showStopping(stopping: Stopping): void;
  dispose(): void;
}

export interface ComposerOptions {
  stopper: Stopper;
  /** What the person asked in this session, the oldest first. */
  prompts(): string[];
  /** Gives the focus to what surrounds the input. */
  leave(): void;
}

export function drawComposer(context: Context, { stopper, prompts, leave }: ComposerOptions): Composer {
  const say = (words: string): void => {
    problem.hidden = words === "";
    setText(problem, reveal(words));
    area.setAttribute("aria-description", reveal(words) || HINTS[mode]);
  };
  const box = drawBox(prompts);
  const area = box.element;
  const files = drawFiles({ onChange: () => onChange(), say });
  const queue = drawQueue(context, { onTaken: (text) => takeBack(text), say });
  const meta = drawMeta(context);
  const send = button("Send", "cnb-primary", () => submit(mode === "running" ? "steer" : "send"));
  const later = button("Queue", "", () => submit("send"));
  const stop = iconButton("stop", "Interrupt the turn", "cnb-stop", () => stopper.press());
  const keys = element("span", "cnb-keys");
  const problem = element("p", "cnb-problem");
  const right = element("div", "cnb-sending", stop, later, send);
  const actions = element("div", "cnb-actions", files.attach, keys, right);
  const frame = element("div", "cnb-frame", files.element, box.holder, actions);
  const input = element("div", "cnb-input", queue.element, frame, problem, meta.element);
  const ended = element("p", "cnb-ended");
  const foot = element("div", "cnb-foot", input, ended);
  let mode: Mode = "hidden";
  let session = "";
  let isSending = false;
  let isFocused = false;

  later.title = "Make it the next turn, after the running one (Alt+Enter)";
  problem.hidden = foot.hidden = true;
  foot.dataset.lmSuppressShortcuts = "true";
  foot.addEventListener("keydown", (event) => event.stopPropagation());
  area.addEventListener("keydown", (event) => onKey(event));
  area.addEventListener("input", () => onChange());
  area.addEventListener("focus", () => (isFocused = true));
  area.addEventListener("blur", () =>
    // The end of an element takes its focus, too; the person did not.
    queueMicrotask(() => (isFocused &&= !area.isConnected)),
  );
  area.addEventListener("paste", (event) => {
    const data = event.clipboardData;
    // Office programs add a picture of the text that was copied.
    const isText = data?.types.includes("text/plain") && data.types.includes("text/html");
    if (data === null || data.files.length === 0 || isText) return;
    event.preventDefault();
    void files.add(data.files);
  });
  acceptDrops(foot, { takeFiles: (found) => void files.add(found), takeText: (text) => box.insert(text) });

  const keep = (isLeaving = false): void => {
    const { selectionStart: start, selectionEnd: end } = area;
    const caret = isLeaving ? { start, end, at: performance.now() } : null;
    keepDraft(session, { text: area.value, files: files.all(), caret });
  };
  const onChange = (): void => {
    keep();
    drawSend();
  };

  const onKey = (event: KeyboardEvent): void => {
    // While a word is being composed, Enter and the arrows belong to the input method.
    if (event.isComposing || event.keyCode === 229) return;
    const { key, shiftKey, altKey } = event;
    const isPlain = !shiftKey && !altKey && !event.ctrlKey && !event.metaKey;
    if (key === "Escape") leave();
    else if (key === "Enter" && !shiftKey) submit(mode === "running" && !altKey ? "steer" : "send");
    else if (!isPlain || !box.leaf(key)) return;
    event.preventDefault();
  };

  const submit = (op: "send" | "steer"): void => {
    const text = area.value;
    if (isSending || mode === "away" || text.trim() === "") return;
    const sent = files.all();
    const attachments = sent.map(({ name, type, data }) => ({ name, type, data }));
    setSending(true);
    say("");
    context
      .request({ op, text, ...(attachments.length > 0 ? { attachments } : {}) })
      .then(() => {
        box.set("");
        box.forgetHistory();
        files.set(files.all().filter((file) => !sent.includes(file)));
        keep();
      })
      .catch((refusal: unknown) => say(messageOf(refusal)))
      .finally(() => setSending(false));
  };
  const setSending = (isNow: boolean): void => {
    area.readOnly = isSending = isNow;
    drawSend();
  };
  const drawSend = (): void => {
    const isSteering = mode === "running";
    const isEmpty = area.value.trim() === "";
    setText(send, isSending ? "Sending…" : isSteering ? "Steer" : "Send");
    send.title = isSteering ? "Add it to the running turn (Enter)" : "Start a turn with it (Enter)";
    if (isEmpty) send.title = files.all().length > 0 ? "Say what Codex is to do with the files" : "Type a message first";
    if (mode === "away") send.title = "The connection to the session is being mended";
    for (const it of [send, later]) setOff(it, isSending || isEmpty || mode === "away");
  };

  const takeBack = (text: string): void => {
    box.set(area.value.trim() === "" ? text : `${area.value.trimEnd()}\n\n${text}`);
    onChange();
    focusOn(area);
    area.setSelectionRange(area.value.length, area.value.length);
  };
  const takeDraft = (id: string): void => {
    session = id;
    const draft = draftOf(id);
    box.set(draft.text);
    files.set(draft.files);
  };
  const returnFocus = (): void => {
    const { caret } = draftOf(session);
    if (caret === null) return;
    keep();
    const isFree = document.activeElement === null || document.activeElement === document.body;
    if (!isFree || performance.now() - caret.at > RETURN_MS) return;
    focusOn(area);
    area.setSelectionRange(caret.start, caret.end);
  };

  return {
    element: foot,
    update(value) {
      const hadFocus = foot.contains(document.activeElement);
      const before = mode;
      if (value.session.id !== session) takeDraft(value.session.id);
      mode = modeOf(value);
      foot.hidden = mode === "hidden";
      input.hidden = mode === "ended";
      ended.hidden = !input.hidden;
      if (foot.hidden || input.hidden) {
        if (mode !== before) ended.replaceChildren(...endedWords(value));
        if (hadFocus && mode !== before) leave();
        return;
      }
      queue.update(value.queue);
      meta.update(value);
      box.hint(mode === "running" ? "Add to the running turn, or queue the next one" : "Tell Codex what to do next");
      setText(keys, HINTS[mode]);
      if (problem.hidden) area.setAttribute("aria-description", HINTS[mode]);
      keys.classList.toggle("cnb-calm", mode === "idle");
      later.hidden = stop.hidden = mode !== "running";
      drawSend();
      // What is hidden or gone has lost the focus, or is about to.
      const focused = document.activeElement;
      const isLost = !foot.contains(focused) || focused?.closest("[hidden]") !== null;
      if (hadFocus && isLost) focusOn(area);
      if (before === "hidden") returnFocus();
    },
    tick: meta.tick,
    showStopping: ({ phase }) => setOff(stop, phase === "stopping"),
    dispose() {
      keep(isFocused);
      box.dispose();
      meta.dispose();
    },
  };
}

/** What to do when the session is over, as a cell would say it. */
function endedWords({ session, ended }: ComposerValue): (Node | string)[] {
  const name = /^[\w.-]+$/.test(session.name) ? session.name : `"${session.name}"`;
  const command = element("code", "cnb-inlinecode", `%codex_run --name ${reveal(name)} …`);
  const isClosed = ended === "closed" || (ended === "" && session.status === "closed");
  const said = isClosed
    ? "This session was closed. Run a cell to start a new one: "
    : "This session has ended. Run a cell to go on with its thread: ";
  return [icon("dash"), element("span", "", said, command)];
}
