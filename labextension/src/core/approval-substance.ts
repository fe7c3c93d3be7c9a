/** What a person decides about: the command whole, files, permissions, where it would happen, and what it would be allowed. */

import type { Context } from "./context";
import { drawChange } from "./diff";
import { copyButton, element, icon, scrollBox } from "./dom";
import { type Fact, argumentFacts, permissionFacts } from "./permissions";
import type { Question } from "./read";
import { hidesSomething, reveal, unwrapShell } from "./text";

export function drawSubstance(approval: Question, context: Context): HTMLElement[] {
  const parts: HTMLElement[] = [];
  if (approval.reason !== "") parts.push(element("p", "cnb-why", reveal(approval.reason)));
  if (isTricky(approval)) {
    const words = "Some characters here are invisible or change the order of the text. They are shown like ⟨U+202E⟩.";
    parts.push(element("p", "cnb-tricky", icon("eye"), element("span", "", words)));
  }
  if (approval.command !== "") parts.push(drawCommand(approval));
  if (approval.changes.length > 0) {
    const folder = approval.cwd || context.session.cwd;
    const files = approval.changes.map((change) => drawChange(change, folder, { isWhole: true }));
    parts.push(element("div", "cnb-files", ...files));
  }
  const facts = approval.kind === "tool" ? argumentFacts(approval.permissions) : permissionFacts(approval.permissions);
  if (facts.length > 0) parts.push(drawFacts(facts, approval.kind === "tool" ? "Arguments" : "Asked for"));
  parts.push(...drawPlace(approval, context));
  if (approval.grants.length > 0) {
    const grants = approval.grants.map((it) => element("li", "", reveal(it)));
    parts.push(element("div", "cnb-granted", element("span", "cnb-where", "If you allow it:"), element("ul", "", ...grants)));
  }
  return parts;
}

/** Carriage returns and the marks of coloured emoji are no tricks in a file. */
const HARMLESS_IN_FILES = /[\r\uFE0F]/g;

function isTricky({ title, reason, command, cwd, host, rule, grants, changes, permissions }: Question): boolean {
  const values = [title, reason, command, cwd, host, rule, ...grants, stringsOf(permissions).join(" ")];
  const files = changes.flatMap(({ path, movedTo, diff }) => [path, movedTo, diff.replace(HARMLESS_IN_FILES, "")]);
  return [...values, ...files].some(hidesSomething);
}

function stringsOf(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, it]) => [key, ...stringsOf(it)]);
}

/** The command as its shell reads it; what is copied is what is shown. */
function drawCommand({ command }: Question): HTMLElement {
  const { script } = unwrapShell(command);
  const box = scrollBox("pre", "cnb-asked", "Command that would run");
  box.textContent = reveal(script);
  return element("div", "cnb-askedholder", box, copyButton(() => reveal(script), "Copy the command"));
}

function drawFacts(facts: Fact[], label: string): HTMLElement {
  const list = element("dl", "cnb-facts cnb-asks");
  list.setAttribute("aria-label", label);
  list.append(
    ...facts.flatMap((fact) => [element("dt", "", reveal(fact.label)), element("dd", "", reveal(fact.value))]),
  );
  return list;
}

function drawPlace({ command, cwd, host }: Question, context: Context): HTMLElement[] {
  const { shell } = unwrapShell(command);
  const folder = cwd || (command === "" ? "" : context.session.cwd);
  const machine = host === "" || host === "local" ? "" : host;
  const code = (text: string): HTMLElement => element("code", "", reveal(text));
  const words = [
    ...(shell === "" ? [] : ["with ", code(shell), " "]),
    ...(folder === "" ? [] : ["in ", code(folder)]),
    ...(machine === "" ? (folder === "" ? [] : [" on this machine"]) : [" on ", code(machine)]),
  ];
  return words.length === 0 ? [] : [element("p", "cnb-where", ...words)];
}
