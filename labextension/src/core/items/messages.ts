/** What the model says: messages, proposed plans, reasoning. */

import type { Json } from "../../tokens";
import type { Context, ItemDrawing } from "../context";
import { element, icon } from "../dom";
import { isObject, listOf, textOf } from "../json";
import { MarkdownBox } from "../markdown";
import { reveal } from "../text";
import { Fold, muted, timeOf } from "./parts";

/** Questions that a message asks beside its text, with the answers that it proposes. */
function drawQuestions(questions: Json | undefined): HTMLElement[] {
  return listOf(questions)
    .filter(isObject)
    .map((it) => {
      const options = listOf(it.options).map((option) =>
        isObject(option) ? textOf(option.label) || textOf(option.title) : textOf(option),
      );
      const list = element("ul", "", ...options.filter(Boolean).map((option) => element("li", "", reveal(option))));
      return element("div", "cnb-question", element("strong", "", reveal(textOf(it.title))), list);
    });
}

export function drawMessage(context: Context): ItemDrawing {
  const box = new MarkdownBox(context);
  const questions = element("div", "cnb-questions");
  return {
    element: element("div", "cnb-message", box.element, questions),
    update({ text, status, body }) {
      box.update(text, status !== "in_progress");
      if (body.questions !== undefined) questions.replaceChildren(...drawQuestions(body.questions));
    },
  };
}

export function drawProposedPlan(context: Context): ItemDrawing {
  const box = new MarkdownBox(context);
  const head = element("div", "cnb-cardhead", icon("list"), element("span", "cnb-label", "Proposed plan"));
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
  const box = new MarkdownBox(context);
  return {
    element: fold.element,
    update(item) {
      const isLive = item.status === "in_progress";
      const { title, rest } = splitReasoning(item.text, isLive);
      const time = timeOf(item, context);
      const head = isLive ? "Thinking…" : time === "" ? "Thought" : `Thought for ${time}`;
      const words = title === "" ? [] : [muted(` · ${reveal(title)}`)];
      const show = (): Node[] => {
        box.update(rest.trim(), !isLive);
        return [box.element];
      };
      // What only repeats the line is not worth unfolding.
      const isMore = rest.trim() !== "" && rest.trim() !== `**${title}**`;
      fold.show([head, ...words], isMore ? show : null);
      fold.element.hidden = !isLive && item.text.trim() === "";
    },
  };
}
