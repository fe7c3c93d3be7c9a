/** The line at the top: what the session is doing, with what, since when; and the button that stops it. */

import type { Session, Turn, Usage } from "../tokens";
import type { Context } from "./context";
import { button, element, icon, setText } from "./dom";
import { clock, count, duration, reveal } from "./text";

export interface HeaderValue {
  session: Session;
  /** The last turn that the view shows. */
  turn: Turn | null;
  isWaiting: boolean;
  /** The view shows the end of the session, not a part that lies behind. */
  isLatest: boolean;
  usage: Usage | null;
}

export interface State {
  name: "starting" | "working" | "waiting" | "done" | "interrupted" | "failed" | "closed" | "ready";
  word: string;
}

const OF_TURN: Record<string, State> = {
  completed: { name: "done", word: "Done" },
  interrupted: { name: "interrupted", word: "Interrupted" },
  failed: { name: "failed", word: "Failed" },
};
const OF_SESSION: Record<string, State> = {
  idle: { name: "ready", word: "Ready" },
  running: { name: "working", word: "Working" },
  waiting: { name: "waiting", word: "Waiting for you" },
  failed: { name: "failed", word: "Failed" },
  closed: { name: "closed", word: "Closed" },
};

/** One word for where things stand: how the turn ended, or what the session does. */
export function stateOf({ session, turn, isWaiting }: HeaderValue): State {
  const ended = turn === null ? undefined : OF_TURN[turn.status];
  if (ended !== undefined) return ended;
  const own = OF_SESSION[session.status] ?? { name: "starting", word: "Starting" };
  if (own.name === "failed" || own.name === "closed") return own;
  if (isWaiting) return { name: "waiting", word: "Waiting for you" };
  return turn === null ? own : { name: "working", word: "Working" };
}

const ASK: Record<string, string> = {
  never: "never",
  untrusted: "before every command that is not known to be safe",
  "on-request": "when Codex wants to leave the sandbox",
};

export class Header {
  readonly element = element("div", "cnb-header");
  private readonly dot = element("span", "cnb-dot");
  private readonly word = element("span", "cnb-word");
  private readonly name = element("span", "cnb-name");
  private readonly model = element("span", "cnb-muted");
  private readonly posture = element("span", "cnb-chip");
  private readonly replay = element("span", "cnb-chip");
  private readonly elapsed = element("span", "cnb-time");
  private readonly tokens = element("span", "cnb-muted cnb-tokens");
  private readonly stop: HTMLButtonElement;
  private readonly details: HTMLButtonElement;
  private readonly panel = element("div", "cnb-panel");
  private readonly facts = element("dl", "cnb-facts");
  private readonly close: HTMLButtonElement;
  private readonly problem = element("p", "cnb-problem");
  private stopping = "";
  private value: HeaderValue | null = null;

  constructor(private readonly context: Context) {
    this.stop = button("Stop", "cnb-stop", () => this.interrupt());
    this.details = button("Details", "cnb-quiet", () => this.togglePanel());
    this.details.setAttribute("aria-expanded", "false");
    this.close = button("Close session", "", () => this.closeSession());
    this.panel.hidden = true;
    this.panel.append(this.facts, this.close);
    this.problem.hidden = true;
    const left = element("div", "cnb-left", this.dot, this.word, this.name, this.model, this.posture, this.replay);
    const right = element("div", "cnb-right", this.tokens, this.elapsed, this.details, this.stop);
    this.element.append(element("div", "cnb-headline", left, right), this.problem, this.panel);
  }

  update(value: HeaderValue): void {
    this.value = value;
    const { session, turn, usage } = value;
    const state = stateOf(value);
    this.dot.className = `cnb-dot cnb-dot-${state.name}`;
    setText(this.word, state.word);
    setText(this.name, reveal(session.name));
    // A replayed model has no name that would tell more than the chip does.
    setText(this.model, session.replay ? "" : reveal(session.model));
    const chip = [session.sandbox, ...(session.network ? ["network"] : [])].filter(Boolean).join(" + ");
    setText(this.posture, reveal(chip));
    this.posture.hidden = chip === "";
    this.posture.classList.toggle("cnb-open", session.sandbox === "danger-full-access");
    this.replay.hidden = session.replay === "";
    setText(this.replay, `replay ${reveal(session.replay)}`);
    this.replay.title = `The model is a replay: ${reveal(session.replay)}`;
    const isRunning = turn?.status === "in_progress" && state.name !== "failed" && state.name !== "closed";
    this.stop.hidden = !isRunning;
    if (!isRunning || this.stopping !== turn.id) {
      this.stop.disabled = false;
      this.stop.replaceChildren(icon("stop"), "Stop");
    }
    setText(this.tokens, usage === null ? "" : usageWords(usage));
    this.close.hidden = !value.isLatest || session.status === "closed" || session.status === "failed";
    if (!this.panel.hidden) this.drawFacts(session);
    this.tick();
  }

  tick(): void {
    const { turn } = this.value ?? { turn: null };
    if (turn === null || turn.startedAt === null) return setText(this.elapsed, "");
    const isRunning = turn.completedAt === null && turn.status === "in_progress";
    if (turn.completedAt === null && !isRunning) return setText(this.elapsed, "");
    const seconds = (turn.completedAt ?? this.context.now()) - turn.startedAt;
    setText(this.elapsed, isRunning ? clock(seconds) : duration(seconds));
  }

  private interrupt(): void {
    this.stopping = this.value?.turn?.id ?? "";
    this.stop.disabled = true;
    this.stop.replaceChildren(icon("stop"), "Stopping…");
    this.send({ op: "interrupt" }, () => {
      this.stopping = "";
      this.stop.disabled = false;
      this.stop.replaceChildren(icon("stop"), "Stop");
    });
  }

  private closeSession(): void {
    this.close.disabled = true;
    this.send({ op: "close" }, () => (this.close.disabled = false));
  }

  private send(operation: { op: "interrupt" | "close" }, onFailure: () => void): void {
    this.problem.hidden = true;
    this.context.request(operation).catch((problem: unknown) => {
      onFailure();
      this.problem.hidden = false;
      setText(this.problem, problem instanceof Error ? problem.message : String(problem));
    });
  }

  private togglePanel(): void {
    this.panel.hidden = !this.panel.hidden;
    this.details.setAttribute("aria-expanded", String(!this.panel.hidden));
    if (this.value !== null) this.drawFacts(this.value.session);
  }

  private drawFacts(session: Session): void {
    const facts: [string, string][] = [
      ["Session", session.id],
      ["Status", [session.status, session.detail].filter(Boolean).join(" – ")],
      ["Host", session.host],
      ["Folder", session.cwd],
      ["Model", [session.model, session.effort && `effort ${session.effort}`].filter(Boolean).join(", ")],
      ["Sandbox", session.sandbox && `${session.sandbox}, network ${session.network ? "on" : "off"}`],
      ["Asks", ASK[session.ask] ?? session.ask],
      ["Replay", session.replay],
      ["Codex", session.codexVersion],
      ["Thread", session.threadId],
    ];
    this.facts.replaceChildren(
      ...facts
        .filter(([, value]) => value !== "")
        .flatMap(([name, value]) => [element("dt", "", name), element("dd", "", reveal(value))]),
    );
  }
}

function usageWords(usage: Usage): string {
  const words = `${count(usage.total)} tokens`;
  if (!usage.contextWindow) return words;
  const share = Math.min(100, Math.round((100 * usage.last) / usage.contextWindow));
  return `${words} · ${share} % of context`;
}
