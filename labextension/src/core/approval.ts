/**
 * A request for approval: what would happen, in full and with hidden characters made visible, and the legal answers.
 *
 * Nothing is focused and nothing has a default: an answer is a click, or a key press while the focus is inside of the card.
 * One answer is sent; the buttons come back only when it was refused. A settled request is one line.
 */

import type { Decision } from "../tokens";
import { drawSubstance } from "./approval-substance";
import type { Context, Drawing } from "./context";
import { button, element, focusOn, icon, setAttributes, setOff, setText } from "./dom";
import type { Question } from "./read";
import { clock, messageOf, plural, reveal, unwrapShell } from "./text";

interface Label {
  word: string;
  /** While the answer is on its way. */
  progress: string;
  key: string;
}

const LABELS: Record<Decision, Label> = {
  accept: { word: "Allow once", progress: "Allowing…", key: "y" },
  accept_for_session: { word: "Allow for this session", progress: "Allowing…", key: "s" },
  accept_rule: { word: "Always allow", progress: "Allowing…", key: "" },
  decline: { word: "Decline", progress: "Declining…", key: "n" },
  cancel: { word: "Stop the turn", progress: "Stopping…", key: "" },
};

const REFUSALS: readonly Decision[] = ["decline", "cancel"];

/** A busy kernel delivers an answer late; after so long the card says so. */
const SLOW_MS = 4000;
/** Seconds below which the time that is left is shown to the second. */
const SOON = 120;

interface PendingCard extends Drawing<Question> {
  tick(): void;
  /** Whether the answer was given here. */
  isAnswered(): boolean;
}

function drawPending(first: Question, context: Context): PendingCard {
  let approval = first;
  /** The decision that is on its way, or was taken. */
  let sent: Decision | null = null;
  const { decisions } = approval;
  const title = reveal(approval.title) || "Codex asks for permission";
  const expiry = element("span", "cnb-expiry");
  const rule = element("p", "cnb-where", "“Always allow” means: ", reveal(approval.rule));
  const problem = element("p", "cnb-problem");
  const reason = element("input", "cnb-reason");
  const confirm = button("", "", () => answer("decline"));
  const telling = element("div", "cnb-telling", reason, confirm);
  const buttons = new Map(
    decisions.map((it) => [it, button("", `cnb-decision cnb-decision-${it}`, () => choose(it))]),
  );
  const group = (isRefusal: boolean): HTMLElement =>
    element("div", "cnb-decisions", ...[...buttons].filter(([it]) => REFUSALS.includes(it) === isRefusal).map(([, it]) => it));
  const card = element(
    "section",
    "cnb-approval",
    element("div", "cnb-approvalhead", icon("alert"), element("strong", "", title), expiry),
    ...drawSubstance(approval, context),
    rule,
    element("div", "cnb-decisions cnb-answers", group(false), group(true)),
    telling,
    problem,
  );

  rule.hidden = approval.rule === "" || !decisions.includes("accept_rule");
  problem.hidden = telling.hidden = true;
  reason.maxLength = 2000;
  reason.placeholder = "Tell Codex why (optional)";
  reason.setAttribute("aria-label", reason.placeholder);
  setAttributes(card, {
    role: "group",
    "aria-label": `Approval: ${title}`,
    tabindex: "0",
    // The letters of the card are commands of a notebook.
    "data-lm-suppress-shortcuts": "true",
  });
  for (const [decision, it] of buttons) {
    const { key } = LABELS[decision];
    if (key !== "") it.setAttribute("aria-keyshortcuts", key);
  }
  buttons.get("accept_rule")?.setAttribute("aria-description", reveal(approval.rule));
  card.addEventListener("keydown", (event) => onKey(event));

  const onKey = (event: KeyboardEvent): void => {
    event.stopPropagation();
    const isTyping = event.target === reason;
    if (event.key === "Escape" && !telling.hidden) {
      tellWhy(false);
      focusOn(buttons.get("decline"));
    } else if (isTyping && event.key === "Enter" && !event.isComposing) {
      event.preventDefault();
      answer("decline");
    }
    // A key that is held down says nothing about the question that came meanwhile.
    if (isTyping || event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
    const decision = decisions.find((it) => LABELS[it].key === event.key.toLowerCase());
    if (decision === undefined) return;
    event.preventDefault();
    choose(decision);
  };
  const choose = (decision: Decision): void => {
    if (decision !== "decline") answer(decision);
    else if (sent === null) tellWhy(telling.hidden);
  };
  const tellWhy = (isOpen: boolean): void => {
    telling.hidden = !isOpen;
    if (isOpen) focusOn(reason);
    drawAnswers();
  };

  const answer = (decision: Decision): void => {
    if (sent !== null) return;
    sent = decision;
    drawAnswers();
    say("");
    const why = decision === "decline" ? reason.value.trim() : "";
    const slow = setTimeout(() => say("The answer is on its way; a busy kernel takes it when it is free."), SLOW_MS);
    context
      .request({ op: "answer", approval: approval.id, decision, ...(why === "" ? {} : { reason: why }) })
      .catch((refusal: unknown) => {
        sent = null;
        drawAnswers();
        say(messageOf(refusal));
      })
      .finally(() => clearTimeout(slow));
  };
  const drawAnswers = (): void => {
    reason.readOnly = sent !== null;
    for (const [decision, it] of buttons) {
      const { word, progress, key } = LABELS[decision];
      const hint = element("kbd", "cnb-key", key.toUpperCase());
      // For the eye; the ear has it from the button.
      hint.setAttribute("aria-hidden", "true");
      it.replaceChildren(...(decision === sent ? [progress] : key === "" ? [word] : [word, hint]));
      setOff(it, sent !== null);
    }
    buttons.get("decline")?.setAttribute("aria-expanded", String(!telling.hidden));
    setOff(confirm, sent !== null);
    setText(confirm, sent === "decline" ? LABELS.decline.progress : "Decline now");
  };
  const say = (words: string): void => {
    problem.hidden = words === "";
    setText(problem, reveal(words));
    card.setAttribute("aria-description", reveal(words));
  };

  const tick = (): void => {
    if (approval.expiresAt === null) return;
    const left = approval.expiresAt - context.now();
    const time = left > SOON ? `${Math.ceil(left / 60)} min` : clock(left);
    setText(expiry, left > 0 ? `Declined by itself in ${time}` : "Is being declined: nobody answered");
    expiry.classList.toggle("cnb-soon", left <= SOON);
  };
  drawAnswers();
  tick();
  return {
    element: card,
    update(news) {
      approval = news;
      tick();
    },
    tick,
    isAnswered: () => sent !== null,
  };
}

const ACCEPTED: Record<string, string> = {
  accept_for_session: "Allowed for this session",
  accept_rule: "Allowed from now on",
};

/** One line for a request that is settled. */
function settledWords({ status, decision }: Question): string {
  switch (status) {
    case "accepted":
      return ACCEPTED[decision] ?? "Allowed once";
    case "declined":
      return "Declined";
    case "cancelled":
      return "Declined, and the turn was stopped";
    case "expired":
      return "Declined: nobody answered";
    default:
      return "Answered elsewhere, or no longer asked";
  }
}

/** What an approval was about, in a few words. */
function subjectOf({ command, changes, title }: Question): string {
  if (command !== "") return unwrapShell(command).script;
  return changes.length > 0 ? plural(changes.length, "file") : title;
}

function drawSettled(approval: Question, isElsewhere: boolean): HTMLElement {
  const isAllowed = approval.status === "accepted";
  const words = element("span", "cnb-linetext", settledWords(approval));
  const isAnswered = isAllowed || approval.status === "declined" || approval.status === "cancelled";
  if (isElsewhere && isAnswered) words.append(", answered elsewhere");
  if (approval.decision === "accept_rule" && approval.rule !== "") words.append(` – ${reveal(approval.rule)}`);
  else if (approval.note !== "" && !isAllowed && approval.status !== "expired") words.append(` – ${reveal(approval.note)}`);
  // Where no item below tells what it was about.
  else if (approval.item === "" && approval.title !== "") words.append(` – ${reveal(approval.title)}`);
  const line = element(
    "div",
    `cnb-line cnb-settled ${isAllowed ? "cnb-good" : ""}`.trim(),
    icon(isAllowed ? "check" : "dash"),
    words,
  );
  line.title = reveal(subjectOf(approval));
  line.tabIndex = -1;
  return line;
}

export function drawApproval(context: Context): Drawing<Question> {
  const holder = element("div", "cnb-approvalholder");
  let pending: PendingCard | null = null;
  return {
    element: holder,
    update(approval) {
      if (approval.status === "pending") {
        if (pending === null) {
          pending = drawPending(approval, context);
          holder.replaceChildren(pending.element);
        } else {
          pending.update(approval);
        }
        return;
      }
      const hadFocus = holder.contains(document.activeElement);
      const line = drawSettled(approval, pending !== null && !pending.isAnswered());
      pending = null;
      holder.replaceChildren(line);
      if (hadFocus) focusOn(line);
    },
    tick: () => pending?.tick(),
  };
}
