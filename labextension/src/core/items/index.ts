/** The drawing for each kind of item. */

import type { Context, ItemDrawing } from "../context";
import { drawCommand } from "./command";
import { drawFileChange } from "./filechange";
import { drawMessage, drawPrompt, drawProposedPlan, drawReasoning } from "./messages";
import {
  drawAgentActivity,
  drawCompaction,
  drawImageView,
  drawReviewEnd,
  drawReviewStart,
  drawSleep,
  drawUnknown,
} from "./others";
import { drawAgentCall, drawDynamicCall, drawMcpCall, drawWebSearch } from "./tools";

const KINDS = new Map<string, (context: Context) => ItemDrawing>([
  ["userMessage", drawPrompt],
  ["agentMessage", drawMessage],
  ["plan", drawProposedPlan],
  ["reasoning", drawReasoning],
  ["commandExecution", drawCommand],
  ["fileChange", drawFileChange],
  ["mcpToolCall", drawMcpCall],
  ["dynamicToolCall", drawDynamicCall],
  ["collabAgentToolCall", drawAgentCall],
  ["subAgentActivity", drawAgentActivity],
  ["webSearch", drawWebSearch],
  ["imageView", drawImageView],
  ["contextCompaction", drawCompaction],
  ["enteredReviewMode", drawReviewStart],
  ["exitedReviewMode", drawReviewEnd],
  ["sleep", drawSleep],
]);

export function drawItem(type: string, context: Context): ItemDrawing {
  return (KINDS.get(type) ?? drawUnknown)(context);
}
