/** Kinds that need one line: pictures looked at, compaction, reviews; and kinds that this view does not know. */

import type { Item } from "../../tokens";
import type { Context, ItemDrawing } from "../context";
import { type IconName, element, scrollBox } from "../dom";
import { numberOf, prettyJson, textOf } from "../json";
import { MarkdownBox } from "../markdown";
import { duration, relativePath, reveal } from "../text";
import { Fold, code, line, muted } from "./parts";

function drawLine(name: IconName, words: (item: Item) => (Node | string)[]): ItemDrawing {
  const holder = element("div");
  return {
    element: holder,
    update: (item) => holder.replaceChildren(line(name, ...words(item))),
  };
}

export function drawImageView(context: Context): ItemDrawing {
  return drawLine("image", ({ body }) => [
    "Looked at ",
    code(reveal(relativePath(textOf(body.path), context.session.cwd))),
  ]);
}

export function drawCompaction(): ItemDrawing {
  return drawLine("compact", ({ status }) => [
    status === "in_progress" ? "Compacting the context…" : "Compacted the context",
  ]);
}

export function drawSleep(): ItemDrawing {
  return drawLine("clock", ({ body }) => [`Waited ${duration((numberOf(body.durationMs) ?? 0) / 1000)}`]);
}

export function drawAgentActivity(): ItemDrawing {
  return drawLine("people", ({ body }) => [
    `Sub-agent ${textOf(body.kind)} `,
    muted(reveal(textOf(body.agentPath))),
  ]);
}

export function drawReviewStart(): ItemDrawing {
  return drawLine("eye", () => ["Review started"]);
}

export function drawReviewEnd(): ItemDrawing {
  const box = new MarkdownBox();
  const head = element("div", "cnb-cardhead", element("span", "cnb-label", "Review"));
  return {
    element: element("div", "cnb-card", head, element("div", "cnb-cardbody", box.element)),
    update: ({ body, text }) => box.update(text || textOf(body.review), true),
  };
}

/** A kind that codex learned after this view was written. */
export function drawUnknown(): ItemDrawing {
  const fold = new Fold("dot");
  return {
    element: fold.element,
    update({ type, text, output, body }) {
      const box = scrollBox("pre", "cnb-terminal", type);
      box.textContent = prettyJson({ ...(text && { text }), ...(output && { output }), ...body });
      fold.show([code(reveal(type || "item"))], [box]);
    },
  };
}
