/**
 * The two faces of a thread: the conversation, and the terminal of codex.
 *
 * A view shows one of them. Whoever asks for the terminal gets it opened when none runs; who finds it in a notebook does not.
 */

import { type Face, type JsonObject, type Operation, type Services, Unanswered } from "../tokens";
import { button, element, icon, iconButton, isOff, scrollBox, setAttributes, setOff, setText } from "./dom";
import type { Terminal } from "./read";
import { type Situation, isOver } from "./standing";
import { makeTerminalFrame, terminalUrl } from "./terminal-frame";
import { drawTerminalLinks } from "./terminal-links";
import { drawGrip } from "./terminal-size";
import { type Stage, isToOpen, stageOf } from "./terminal-stage";
import { messageOf, reveal, revealOrder } from "./text";

export interface FacesValue extends Situation {
  terminal: Terminal | null;
  /** The session itself has told of the terminal, not a file. */
  isHeard: boolean;
}

export interface FacesOptions {
  services: Services;
  face: Face;
  isTall: boolean;
  request(operation: Operation): Promise<JsonObject>;
  /** Tells a problem beside the buttons; "" takes it back. */
  say(words: string): void;
  /** Takes the focus, of which the place is gone. */
  takeFocus(): void;
  /** Another face is to be shown, or the terminal stands elsewhere. */
  onChange(): void;
}

export interface Faces {
  face(): Face;
  /** The switch between the faces and the buttons of the terminal, for the header. */
  readonly controls: HTMLElement;
  readonly pane: HTMLElement;
  show(face: Face): void;
  /** Shows the terminal, and opens one when none runs. */
  openTerminal(): void;
  /** Answers where the terminal stands; null while the conversation is shown. */
  update(value: FacesValue): Stage | null;
  dispose(): void;
}

const KEYS = "Click or press Enter to type · Ctrl+Shift+Esc or F6 leaves it";

export function drawFaces({ services, face, isTall, request, say, takeFocus, onChange }: FacesOptions): Faces {
  const talk = button("Conversation", "", () => show("conversation"));
  const term = button("Terminal", "", () => openTerminal());
  const choice = element("div", "cnb-switch", talk, term);
  const again = button("", "", () => {
    // A frame that the server refused is made anew.
    if (value?.terminal?.status === "running") frame.close();
    else open();
    onChange();
  });
  const tab = iconButton("open", "Open in a tab", "", () => {
    if (value === null) return;
    services.openTerminal?.(value.session.id);
    // The tab has the terminal then, and this view what is said in it.
    show("conversation");
  });
  const closer = button("Close terminal", "cnb-quiet", () => {
    if (isOff(closer)) return;
    setOff(closer, true);
    say("");
    request({ op: "close_terminal" })
      .then(() => show("conversation"), (problem: unknown) => say(messageOf(problem)))
      .finally(() => setOff(closer, false));
  });
  const controls = element("div", "cnb-right", choice, again, tab, closer);
  const frame = makeTerminalFrame(() => onChange());
  const mark = element("span", "cnb-stage");
  const text = element("span");
  const detail = element("p", "cnb-muted");
  const screen = scrollBox("pre", "cnb-lastscreen", "Last screen of the terminal");
  const words = element("div", "cnb-covertext", element("div", "cnb-saying", mark, text), detail);
  const cover = element("div", "cnb-cover", words, screen);
  const stack = element("div", "cnb-stack", frame.element, cover);
  const foot = element("div", "cnb-termfoot", element("span", "cnb-muted", KEYS));
  const asks = drawTerminalLinks((link) => {
    say("");
    request({ op: "dismiss_link", link }).catch((problem: unknown) => say(messageOf(problem)));
  });
  const pane = element("div", "cnb-tty", asks.element, stack, foot);
  let value: FacesValue | null = null;
  let isWanted = false;
  let isAsked = false;
  let refusal = "";
  setAttributes(choice, { role: "group", "aria-label": "Show the thread as" });
  if (!isTall) foot.append(drawGrip(stack));

  const show = (next: Face): void => {
    isWanted &&= next === "terminal";
    face = next;
    onChange();
  };
  const openTerminal = (): void => {
    isWanted = true;
    refusal = "";
    show("terminal");
  };
  const open = (): void => {
    if (isAsked) return;
    isAsked = true;
    refusal = "";
    request({ op: "open_terminal" })
      .catch((problem: unknown) => {
        // To open it twice is to open it once.
        if (problem instanceof Unanswered) isWanted = true;
        else refusal = messageOf(problem);
      })
      .finally(() => {
        isAsked = false;
        onChange();
      });
  };
  const draw = ({ session, terminal, link, isLatest, isHeard }: FacesValue): Stage | null => {
    const isPlain = terminal?.kind === "plain";
    if (isPlain) face = "terminal";
    const isShown = face === "terminal";
    const isLive = link !== "gone" && !isOver(session);
    const { serverUrl, openTerminal: canOpen } = services;
    const url = serverUrl === undefined ? null : terminalUrl(serverUrl, session.id);
    const isOffered = isLatest && (terminal !== null || (isLive && url !== null && canOpen !== undefined));
    choice.hidden = isPlain || !(isShown || isOffered);
    talk.ariaPressed = String(!isShown);
    term.ariaPressed = String(isShown);
    pane.hidden = !isShown;
    if (terminal?.status === "running") refusal = "";
    if (isShown && isWanted && isHeard && link === "live") {
      isWanted = false;
      if (isToOpen(terminal)) open();
    }
    const stage = isShown
      ? stageOf({ session, terminal, link, frame: frame.state(), isFramed: url !== null, isAsked, refusal })
      : null;
    if (stage?.isFramed && url !== null) frame.open(url, `Terminal of ${reveal(session.name) || "Codex"}`);
    else frame.close();
    setText(again, stage?.again || "");
    again.hidden = !stage?.again;
    tab.hidden = !isShown || isTall || canOpen === undefined || !isLive;
    closer.hidden = !isShown || !isLive || terminal?.status !== "running" || link !== "live";
    asks.update(isLive && terminal?.status === "running" ? terminal.links : []);
    if (stage !== null) cover.hidden = drawCover(stage, terminal?.screen ?? "");
    return stage;
  };
  /** Answers whether the frame is to be seen. */
  const drawCover = (stage: Stage, last: string): boolean => {
    const { dot, isFramed = false } = stage;
    // Where the frame is or comes, the room for it.
    const isRoomy = (isFramed && dot !== "failed") || dot === "starting";
    pane.classList.toggle("cnb-roomy", isRoomy);
    frame.element.hidden = !isFramed;
    foot.hidden = !isRoomy;
    const picture = isRoomy ? "" : dot === "failed" ? "alert" : "terminal";
    if (mark.dataset.mark !== picture) {
      mark.dataset.mark = picture;
      mark.replaceChildren(picture === "" ? element("span", "cnb-spinner") : icon(picture));
    }
    setText(text, reveal(stage.text));
    setText(detail, reveal(stage.detail ?? ""));
    setText(screen, isRoomy ? "" : revealOrder(last));
    detail.hidden = !stage.detail;
    screen.hidden = screen.textContent === "";
    return isFramed && dot === "done";
  };

  return {
    face: () => face,
    controls,
    pane,
    show,
    openTerminal,
    update(news) {
      const focused = document.activeElement;
      const isOurs = pane.contains(focused) || controls.contains(focused);
      value = news;
      const stage = draw(news);
      if (isOurs && focused?.getClientRects().length === 0) takeFocus();
      return stage;
    },
    dispose() {
      onChange = () => undefined;
      frame.close();
    },
  };
}
