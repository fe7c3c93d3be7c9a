/**
 * A request for approval: what would happen, in full and with hidden characters made visible, and the legal answers.
 *
 * Nothing is focused and nothing has a default: an answer is a click or a key press on a button. One answer is sent;
 * the buttons come back only when it was refused. A settled request is one line.
 */

import type { Approval, Decision } from "../tokens";
import type { Context, Drawing } from "./context";
import { drawChange } from "./diff";
import { button, element, icon, scrollBox, setText } from "./dom";
import { prettyJson } from "./json";
import { clock, plural, reveal, unwrapShell } from "./text";

const LABELS: Record<Decision, string> = {
  accept: "Allow once",
  accept_for_session: "Allow for this session",
  accept_rule: "Always allow",
  decline: "Decline",
  cancel: "Stop the turn",
};

const REFUSALS: readonly Decision[] = ["decline", "cancel"];

const ACCEPTED: Record<string, string> = {
  accept_for_session: "Allowed for this session",
  accept_rule: "Allowed from now on",
};

/** One line for a request that is settled. */
function settledWords(approval: Approval): string {
  switch (approval.status) {
    case "accepted":
      return ACCEPTED[approval.decision] ?? "Allowed once";
    case "declined":
      return "Declined";
    case "cancelled":
      return "Declined, and the turn was stopped";
    case "expired":
      return "Expired without an answer, so it was declined";
    default:
      return "No longer waiting for an answer";
  }
}

/** A busy kernel delivers an answer late; after so long the card says so. */
const SLOW_MS = 4000;

class PendingCard {
  readonly element: HTMLElement;
  private readonly buttons: HTMLButtonElement[];
  private readonly reason = element("input", "cnb-reason");
  private readonly expiry = element("span", "cnb-expiry");
  private readonly problem = element("p", "cnb-problem");

  constructor(
    private approval: Approval,
    private readonly context: Context,
  ) {
    const make = (decision: Decision): HTMLButtonElement =>
      button(LABELS[decision], `cnb-decision cnb-decision-${decision}`, () => this.answer(decision));
    const grants = approval.decisions.filter((it) => !REFUSALS.includes(it)).map(make);
    const refusals = approval.decisions.filter((it) => REFUSALS.includes(it)).map(make);
    this.buttons = [...grants, ...refusals];
    const title = reveal(approval.title) || "Codex asks for permission";
    this.reason.type = "text";
    this.reason.placeholder = "Reason, sent with Decline";
    this.reason.setAttribute("aria-label", "Reason, sent with Decline");
    this.reason.maxLength = 2000;
    this.reason.hidden = !approval.decisions.includes("decline");
    this.problem.hidden = true;
    this.problem.setAttribute("role", "alert");
    this.element = element(
      "section",
      "cnb-approval",
      element("div", "cnb-approvalhead", icon("alert"), element("strong", "", title), this.expiry),
      ...this.substance(),
      element("div", "cnb-decisions", ...grants),
      element("div", "cnb-decisions", ...refusals, this.reason),
      this.problem,
    );
    this.element.setAttribute("aria-label", `Approval: ${title}`);
    this.tick();
  }

  /** What the person decides about. */
  private substance(): HTMLElement[] {
    const { approval } = this;
    const { script, shell } = unwrapShell(approval.command);
    const parts: HTMLElement[] = [];
    if (approval.reason !== "") parts.push(element("p", "cnb-why", reveal(approval.reason)));
    if (approval.command !== "") {
      const box = scrollBox("pre", "cnb-asked", "Command that will run");
      box.textContent = reveal(script);
      box.title = reveal(approval.command);
      parts.push(box);
    }
    if (approval.changes.length > 0) {
      const files = approval.changes.map((change) =>
        drawChange(change, approval.cwd || this.context.session.cwd, { isWhole: true }),
      );
      parts.push(element("div", "cnb-files", ...files));
    }
    if (approval.permissions !== null) {
      const box = scrollBox("pre", "cnb-asked", "Permissions asked for");
      box.textContent = reveal(prettyJson(approval.permissions, Infinity));
      parts.push(box);
    }
    const where = [
      ...(shell === "" ? [] : ["with ", element("code", "", reveal(shell)), " "]),
      ...(approval.cwd === "" ? [] : ["in ", element("code", "", reveal(approval.cwd))]),
      ...(approval.host === "" ? [] : [" on ", element("code", "", reveal(approval.host))]),
    ];
    if (where.length > 0) parts.push(element("p", "cnb-where", ...where));
    if (approval.rule !== "" && approval.decisions.includes("accept_rule")) {
      parts.push(element("p", "cnb-where", "“Always allow” means: ", reveal(approval.rule)));
    }
    return parts;
  }

  update(approval: Approval): void {
    this.approval = approval;
    this.tick();
  }

  tick(): void {
    const { expiresAt } = this.approval;
    if (expiresAt === null) return;
    const left = expiresAt - this.context.now();
    setText(this.expiry, left > 0 ? `declines by itself in ${clock(left)}` : "is being declined");
  }

  private answer(decision: Decision): void {
    for (const it of this.buttons) it.disabled = true;
    this.reason.disabled = true;
    this.problem.hidden = true;
    const reason = this.reason.value.trim();
    const slow = setTimeout(() => this.say("The answer is on its way; a busy kernel takes it when it is free."), SLOW_MS);
    this.context
      .request({
        op: "answer",
        approval: this.approval.id,
        decision,
        ...(decision === "decline" && reason !== "" ? { reason } : {}),
      })
      .catch((problem: unknown) => {
        for (const it of this.buttons) it.disabled = false;
        this.reason.disabled = false;
        this.say(problem instanceof Error ? problem.message : String(problem));
      })
      .finally(() => clearTimeout(slow));
  }

  private say(text: string): void {
    if (!this.element.isConnected) return;
    this.problem.hidden = false;
    setText(this.problem, text);
  }
}

function drawSettled(approval: Approval): HTMLElement {
  const isAllowed = approval.status === "accepted";
  const words = element("span", "cnb-linetext", settledWords(approval));
  const about =
    approval.command !== ""
      ? unwrapShell(approval.command).script
      : approval.changes.length > 0
        ? plural(approval.changes.length, "file")
        : approval.title;
  const note = approval.note !== "" && !isAllowed ? approval.note : "";
  if (note !== "") words.append(" – ", reveal(note));
  const line = element(
    "div",
    `cnb-line cnb-settled ${isAllowed ? "cnb-good" : ""}`,
    icon(isAllowed ? "check" : "dash"),
    words,
  );
  line.title = reveal(about);
  return line;
}

export function drawApproval(context: Context): Drawing<Approval> {
  const holder = element("div", "cnb-approvalholder");
  let pending: PendingCard | null = null;
  return {
    element: holder,
    update(approval) {
      if (approval.status === "pending") {
        if (pending === null) {
          pending = new PendingCard(approval, context);
          holder.replaceChildren(pending.element);
        } else {
          pending.update(approval);
        }
        return;
      }
      pending = null;
      holder.replaceChildren(drawSettled(approval));
    },
    tick: () => pending?.tick(),
  };
}
