/** Kinds that need one line: compaction, waits, hooks, reviews; and kinds that this view does not know. */

import type { Item } from "../../tokens";
import type { Context, ItemDrawing } from "../context";
import { type IconName, element, icon, scrollBox } from "../dom";
import { isObject, listOf, numberOf, prettyJson, textOf } from "../json";
import { MarkdownBox } from "../markdown";
import { duration, reveal } from "../text";
import { Fold, code, line, muted, stateIcon, textPart } from "./parts";

function drawLine(name: IconName, words: (item: Item) => (Node | string)[]): ItemDrawing {
  const holder = element("div");
  return {
    element: holder,
    update: (item) => holder.replaceChildren(line(name, ...words(item))),
  };
}

export function drawCompaction(): ItemDrawing {
  return drawLine("compact", ({ status }) =>
    status === "in_progress"
      ? [stateIcon(status), "Compacting the context…"]
      : ["Compacted the context", muted(" · Codex goes on with a summary of what was said before")],
  );
}

export function drawSleep(): ItemDrawing {
  return drawLine("clock", ({ body, status }) => {
    const time = duration((numberOf(body.durationMs) ?? 0) / 1000);
    return status === "in_progress" ? [stateIcon(status), `Waiting ${time}`] : [`Waited ${time}`];
  });
}

/** What a hook of the person's own told the model. */
export function drawHookPrompt(): ItemDrawing {
  const fold = new Fold("gear");
  return {
    element: fold.element,
    update({ body, text }) {
      const texts = listOf(body.fragments).filter(isObject).map((it) => textOf(it.text));
      const whole = text || texts.filter(Boolean).join("\n\n");
      fold.show(["A hook added to the prompt"], whole === "" ? null : () => [textPart("Text of the hook", whole)]);
    },
  };
}

export function drawReviewStart(): ItemDrawing {
  const fold = new Fold("eye");
  return {
    element: fold.element,
    update({ body, text }) {
      const what = text || textOf(body.review);
      fold.show(["Review started"], what === "" ? null : () => [textPart("What is reviewed", what)]);
    },
  };
}

export function drawReviewEnd(context: Context): ItemDrawing {
  const box = new MarkdownBox(context);
  const head = element("div", "cnb-cardhead", icon("eye"), element("span", "cnb-label", "Review"));
  return {
    element: element("div", "cnb-card", head, element("div", "cnb-cardbody", box.element)),
    update: ({ body, text }) => box.update(text || textOf(body.review) || "Nothing was found.", true),
  };
}

/** A kind that codex learned after this view was written. */
export function drawUnknown(): ItemDrawing {
  const fold = new Fold("dot");
  return {
    element: fold.element,
    update({ type, status, text, output, body }) {
      const make = (): Node[] => {
        const box = scrollBox("pre", "cnb-terminal", type || "item");
        box.textContent = reveal(prettyJson({ ...(text && { text }), ...(output && { output }), ...body }));
        return [box];
      };
      const last = status === "completed" ? [] : [stateIcon(status)];
      fold.show([...last, code(reveal(type || "item"))], make);
    },
  };
}
