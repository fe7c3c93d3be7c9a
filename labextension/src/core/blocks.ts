/** The drawings that are no items: the plan, notices, how a turn ended, and what is shown while there is nothing. */

import type { Notice, Plan, Session, Turn } from "../tokens";
import type { Drawing } from "./context";
import { element, icon, spoken } from "./dom";
import { duration, reveal } from "./text";

const STEP_WORDS: Record<string, string> = { completed: "done: ", in_progress: "in progress: " };

export function drawPlan(): Drawing<Plan | null> {
  const head = element("summary", "cnb-planhead");
  const why = element("p", "cnb-muted cnb-planwhy");
  const list = element("ul", "cnb-steps");
  const holder = element("details", "cnb-plan", head, why, list);
  let isOpen: boolean | null = null;
  return {
    element: holder,
    update(plan) {
      holder.hidden = plan === null || plan.steps.length === 0;
      if (plan === null) return;
      const done = plan.steps.filter((step) => step.status === "completed").length;
      // A plan that is done folds itself, once; what the person opens stays open.
      const isWorthSeeing = done < plan.steps.length;
      if (isWorthSeeing !== isOpen) holder.open = isOpen = isWorthSeeing;
      head.replaceChildren("Plan ", element("span", "cnb-muted", `${done} of ${plan.steps.length} done`));
      why.hidden = plan.explanation === "";
      why.textContent = reveal(plan.explanation);
      list.replaceChildren(
        ...plan.steps.map(({ step, status }) =>
          element(
            "li",
            `cnb-step cnb-step-${status === "completed" || status === "in_progress" ? status : "pending"}`,
            element("span", "cnb-mark", ...(status === "completed" ? [icon("check")] : [])),
            spoken(STEP_WORDS[status] ?? "to do: "),
            element("span", "", reveal(step)),
          ),
        ),
      );
    },
  };
}

const LEVELS = ["info", "warning", "error"];

export function drawNotice(): Drawing<Notice> {
  const holder = element("div");
  return {
    element: holder,
    update({ level, text, hint }) {
      const known = LEVELS.includes(level) ? level : "info";
      const words = element("span", "cnb-linetext", reveal(text));
      if (hint !== "") words.append(" ", element("span", "cnb-muted", reveal(hint)));
      const picture = icon(known === "info" ? "dot" : "alert");
      holder.replaceChildren(element("div", `cnb-line cnb-notice-${known}`, picture, words));
    },
  };
}

interface Problem {
  title: string;
  message: string;
  hint: string;
  detail: string;
}

function drawProblem({ title, message, hint, detail }: Problem): HTMLElement {
  const head = element("div", "cnb-errorhead", icon("alert"), element("strong", "", title));
  const card = element("div", "cnb-error", head, element("p", "", reveal(message)));
  if (hint !== "") card.append(element("p", "cnb-hint", reveal(hint)));
  if (detail !== "" && detail !== message) {
    const text = element("pre", "cnb-plain", reveal(detail));
    card.append(element("details", "cnb-detail", element("summary", "", "Detail"), text));
  }
  return card;
}

/** How a turn ended: a quiet line, or its error. */
export function drawEnd(): Drawing<Turn> {
  const holder = element("div");
  return {
    element: holder,
    update(turn) {
      const seconds =
        turn.startedAt === null || turn.completedAt === null ? null : turn.completedAt - turn.startedAt;
      if (turn.error !== null || turn.status === "failed") {
        const { message, hint, detail, statusCode } = turn.error ?? { message: "", hint: "", detail: "", statusCode: null };
        const title = statusCode === null ? "The turn failed" : `The turn failed (HTTP ${statusCode})`;
        holder.replaceChildren(
          drawProblem({ title, message: message || "Codex gave no reason.", hint, detail }),
        );
        return;
      }
      const word = turn.status === "interrupted" ? "Interrupted" : "Done";
      const joint = turn.status === "interrupted" ? "after" : "in";
      const words = seconds === null ? word : `${word} ${joint} ${duration(seconds)}`;
      holder.replaceChildren(element("div", "cnb-end", element("span", "", words)));
    },
  };
}

export interface TailValue {
  session: Session;
  kind: "nothing" | "starting" | "working" | "ready" | "failed";
}

/** The last line of a view: what one waits for while nothing else shows it. */
export function drawTail(): Drawing<TailValue> {
  const holder = element("div", "cnb-tail");
  let shown = "";
  return {
    element: holder,
    update({ session, kind }) {
      const key = `${kind} ${session.detail} ${session.hint}`;
      if (key === shown) return;
      shown = key;
      if (kind === "failed") {
        const message = session.detail || "The session ended unexpectedly.";
        holder.replaceChildren(drawProblem({ title: "The session failed", message, hint: session.hint, detail: "" }));
        return;
      }
      const words: Record<TailValue["kind"], string> = {
        nothing: "",
        failed: "",
        starting: "Starting Codex…",
        working: "Working…",
        ready: "Ready. Nothing was asked yet.",
      };
      const spinner = kind === "ready" ? icon("dot") : element("span", "cnb-spinner");
      const line = element("div", "cnb-line", spinner, element("span", "cnb-linetext", words[kind]));
      if (kind === "starting" && session.detail !== "") {
        line.append(element("span", "cnb-muted", reveal(session.detail)));
      }
      holder.replaceChildren(...(kind === "nothing" ? [] : [line]));
    },
  };
}
