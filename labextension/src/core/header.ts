/** The line at the top: where the session stands, which it is, and the buttons that stop it and tell more of it. */

import type { Context } from "./context";
import { button, element, icon, isOff, setOff, setText } from "./dom";
import { limitWords, spendingWords } from "./figures";
import type { RateLimit, Spending } from "./read";
import { type Situation, isOver, isRunning, standingOf } from "./standing";
import type { Stopper, Stopping } from "./stopper";
import type { Stage } from "./terminal-stage";
import { messageOf, reveal } from "./text";

export interface HeaderValue extends Situation {
  usage: Spending | null;
  limits: RateLimit[];
  /** Where the terminal stands, when the view shows it. */
  stage: Stage | null;
}

const CLOSE = "Close session";
const ASK: Record<string, string> = {
  never: "never",
  untrusted: "before every command that is not known to be safe",
  "on-request": "when Codex wants to leave the sandbox",
};

export interface Header {
  readonly element: HTMLElement;
  update(value: HeaderValue): void;
  showStopping(stopping: Stopping): void;
  /** Tells a problem; "" takes it back. */
  say(words: string): void;
}

/** Makes the header; other controls stand before its own. */
export function drawHeader(context: Context, stopper: Stopper, controls: HTMLElement): Header {
  const dot = element("span");
  const word = element("span", "cnb-word");
  const name = element("span", "cnb-name");
  const host = element("span", "cnb-chip");
  const stop = button("", "cnb-stop", () => stopper.press());
  const details = button("Details", "cnb-quiet", () => unfold());
  const facts = element("dl", "cnb-facts");
  const close = button(CLOSE, "", () => closeSession(close));
  const panel = element("div", "cnb-panel", facts, close);
  const end = button(CLOSE, "", () => closeSession(end));
  const offer = element("p", "cnb-offer", "Codex has not stopped yet. ", end);
  const problem = element("p", "cnb-problem");
  const left = element("div", "cnb-left", dot, word, name, host);
  const line = element("div", "cnb-headline", left, element("div", "cnb-right", controls, details, stop));
  let value: HeaderValue | null = null;

  host.title = "The host that Codex works on";
  panel.hidden = true;

  const say = (words: string): void => {
    problem.hidden = words === "";
    setText(problem, reveal(words));
  };
  const closeSession = (pressed: HTMLButtonElement): void => {
    if (isOff(pressed)) return;
    setOff(pressed, true);
    setText(pressed, "Closing…");
    say("");
    context
      .request({ op: "close" })
      .catch((refusal: unknown) => say(messageOf(refusal)))
      .finally(() => {
        setOff(pressed, false);
        setText(pressed, CLOSE);
      });
  };
  const unfold = (): void => {
    panel.hidden = !panel.hidden;
    drawPanel();
  };
  const drawPanel = (): void => {
    details.setAttribute("aria-expanded", String(!panel.hidden));
    if (panel.hidden || value === null) return;
    facts.replaceChildren(
      ...factsOf(value, context.now())
        .filter(([, fact]) => fact !== "")
        .flatMap(([label, fact]) => [element("dt", "", label), element("dd", "", reveal(fact))]),
    );
  };
  const showStopping = ({ phase, isStuck, problem: refusal }: Stopping): void => {
    const label = phase === "ready" ? "Stop" : "Stopping…";
    if (stop.textContent !== label) stop.replaceChildren(icon("stop"), label);
    setOff(stop, phase === "stopping");
    stop.title = phase === "slow" ? "Press again to ask once more" : "End the running turn, its commands too";
    offer.hidden = !isStuck;
    say(refusal);
  };
  drawPanel();
  showStopping(stopper.state);

  return {
    element: element("div", "cnb-header", line, offer, problem, panel),
    update(news) {
      value = news;
      const { session, turn, link } = news;
      const standing = standingOf(news);
      const { stage } = news;
      dot.className = `cnb-dot cnb-dot-${stage?.dot ?? standing.name}`;
      setText(word, stage?.word ?? standing.word);
      setText(name, reveal(session.name));
      setText(host, reveal(session.host));
      host.hidden = session.host === "" || session.host === "local";
      const canStop = link !== "gone" && (isRunning(news) || standing.name === "starting");
      // In the terminal, codex itself says and takes that.
      stop.hidden = !canStop || stage !== null;
      details.hidden = stage !== null;
      if (stage !== null) panel.hidden = true;
      stopper.aim(canStop ? (turn?.id ?? "start") : null);
      close.hidden = !news.isLatest || link === "gone" || isOver(session);
      drawPanel();
    },
    showStopping,
    say,
  };
}

function factsOf({ session, usage, limits }: HeaderValue, now: number): [string, string][] {
  return [
    ["Session", session.id],
    ["Status", [session.status, session.detail].filter(Boolean).join(" – ")],
    ["Host", session.host],
    ["Folder", session.cwd],
    ["Model", [session.model, session.effort && `effort ${session.effort}`].filter(Boolean).join(", ")],
    ["Sandbox", session.sandbox && `${session.sandbox}, network ${session.network ? "on" : "off"}`],
    ["Asks", ASK[session.ask] ?? session.ask],
    ["Replay", session.replay],
    ["Tokens", usage === null ? "" : spendingWords(usage)],
    ["Limits", limits.map((limit) => limitWords(limit, now)).join("; ")],
    ["Codex", session.codexVersion],
    ["Thread", session.threadId],
  ];
}
