/** What people and the model say: prompts, messages, proposed plans, reasoning. */

import type { Item, JsonObject } from "../../tokens";
import type { Context, ItemDrawing } from "../context";
import { element, spoken } from "../dom";
import { isObject, listOf, textOf } from "../json";
import { MarkdownBox } from "../markdown";
import { reveal } from "../text";
import { Fold, FoldedText, muted, timeOf } from "./parts";

const MOST_PROMPT_LINES = 6;

function inputWords(input: JsonObject): string {
  const type = textOf(input.type);
  if (type === "text") return textOf(input.text);
  const name = textOf(input.name) || textOf(input.path);
  if (type === "image" || type === "localImage") return name ? `[image ${name}]` : "[image]";
  return `[${type} ${name}]`;
}

function promptText(item: Item): string {
  if (item.text !== "") return item.text;
  return listOf(item.body.content).filter(isObject).map(inputWords).join("\n");
}

export function drawPrompt(): ItemDrawing {
  const text = new FoldedText(MOST_PROMPT_LINES);
  return {
    element: element("div", "cnb-prompt", spoken("Prompt: "), text.element),
    update: (item) => text.update(promptText(item)),
  };
}

export function drawMessage(): ItemDrawing {
  const box = new MarkdownBox();
  return {
    element: element("div", "cnb-message", box.element),
    update: (item) => box.update(item.text, item.status !== "in_progress"),
  };
}

export function drawProposedPlan(): ItemDrawing {
  const box = new MarkdownBox();
  const head = element("div", "cnb-cardhead", element("span", "cnb-label", "Proposed plan"));
  return {
    element: element("div", "cnb-card", head, element("div", "cnb-cardbody", box.element)),
    update: (item) => box.update(item.text, item.status !== "in_progress"),
  };
}

const TITLE = /^\s*\*\*([^\n]+?)\*\*\s*$/gm;

/** The first line in bold as a title, or the last one so far while it streams; and the text without the first. */
function splitReasoning(text: string, isLive: boolean): { title: string; rest: string } {
  const titles = [...text.matchAll(TITLE)];
  const found = isLive ? titles[titles.length - 1] : titles[0];
  if (found === undefined) {
    const leading = /^\s*\*\*([^\n*]+)\*\*/.exec(text);
    return { title: leading?.[1] ?? "", rest: text };
  }
  const first = titles[0];
  const rest = first === undefined ? text : text.replace(first[0], "");
  return { title: found[1] ?? "", rest: titles.length > 1 || isLive ? text : rest };
}

export function drawReasoning(context: Context): ItemDrawing {
  const fold = new Fold("thought");
  const box = new MarkdownBox();
  return {
    element: fold.element,
    update(item) {
      const isLive = item.status === "in_progress";
      const { title, rest } = splitReasoning(item.text, isLive);
      const time = timeOf(item, context);
      const head = isLive ? "Thinking…" : time === "" ? "Thought" : `Thought for ${time}`;
      const words = title === "" ? [] : [muted(` · ${reveal(title)}`)];
      const hasText = !isLive && rest.trim() !== "";
      if (hasText) box.update(rest.trim(), true);
      fold.show([head, ...words], hasText ? [box.element] : []);
      fold.element.hidden = !isLive && item.text.trim() === "";
    },
  };
}
