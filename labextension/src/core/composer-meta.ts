/** The row below the input: with what Codex works, how long the turn takes, and what is left of context and limits. */

import type { Session, Turn } from "../tokens";
import { drawModelPicker } from "./composer-models";
import type { Context } from "./context";
import { element, setText } from "./dom";
import { contextLeft, contextLevel, limitLevel, limitWords, spendingWords } from "./figures";
import type { RateLimit, Spending } from "./read";
import { isRunning } from "./standing";
import { clock, count, reveal } from "./text";

export interface MetaValue {
  session: Session;
  /** The last turn. */
  turn: Turn | null;
  usage: Spending | null;
  limits: RateLimit[];
}

export interface Meta {
  readonly element: HTMLElement;
  update(value: MetaValue): void;
  tick(): void;
  dispose(): void;
}

export function drawMeta(context: Context): Meta {
  const picker = drawModelPicker(context);
  const posture = element("span", "cnb-chip");
  const replay = element("span", "cnb-chip");
  const elapsed = element("span", "cnb-time");
  const tokens = element("span", "cnb-tokens");
  const bar = element("span", "cnb-bar");
  const left = element("span");
  const room = element("span", "cnb-context", bar, left);
  const limit = element("span", "cnb-limit");
  let value: MetaValue | null = null;

  bar.setAttribute("aria-hidden", "true");
  elapsed.title = "Since the turn began";
  posture.title = "What commands may do without asking";

  const tick = (): void => {
    if (value === null) return;
    const { turn, limits } = value;
    const now = context.now();
    const since = isRunning(value) ? (turn?.startedAt ?? null) : null;
    setText(elapsed, since === null ? "" : clock(now - since));
    // A window that began anew is not used as far as the last report said.
    const current = limits.filter(({ resetsAt }) => resetsAt === null || resetsAt > now);
    const [tightest] = [...current].sort((a, b) => b.usedPercent - a.usedPercent);
    limit.hidden = tightest === undefined;
    if (tightest === undefined) return;
    setText(limit, limitWords(tightest, now));
    limit.className = `cnb-limit cnb-${limitLevel(tightest)}`;
    limit.title = current.map((it) => limitWords(it, now)).join("\n");
  };

  return {
    element: element(
      "div",
      "cnb-meta",
      element("div", "cnb-with", picker.element, replay, posture),
      element("div", "cnb-figures", elapsed, tokens, room, limit),
    ),
    update(news) {
      value = news;
      const { session, usage } = news;
      // A replayed model has no name that would tell more than the chip does, and cannot be chosen.
      picker.element.hidden = session.replay !== "";
      picker.update(session);
      replay.hidden = session.replay === "";
      setText(replay, `replay ${reveal(session.replay)}`);
      const words = [session.sandbox, ...(session.network ? ["network"] : [])].filter(Boolean).join(" + ");
      setText(posture, reveal(words));
      posture.hidden = words === "";
      posture.classList.toggle("cnb-open", session.sandbox === "danger-full-access");
      tokens.hidden = usage === null;
      setText(tokens, `${count(usage?.total ?? 0)} tokens`);
      tokens.title = usage === null ? "" : spendingWords(usage);
      const share = usage === null ? null : contextLeft(usage);
      room.hidden = share === null;
      setText(left, `${share} % context left`);
      bar.style.setProperty("--cnb-share", `${share}%`);
      room.className = `cnb-context cnb-${contextLevel(share ?? 100)}`;
      tick();
    },
    tick,
    dispose: () => picker.close(),
  };
}
