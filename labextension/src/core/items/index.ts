/** The drawing for each kind of item. */

import type { Context, ItemDrawing } from "../context";
import { drawAgentActivity, drawAgentCall } from "./agents";
import { drawCommand } from "./command";
import { drawFileChange } from "./filechange";
import { drawImageGeneration, drawImageView } from "./images";
import { drawMessage, drawProposedPlan, drawReasoning } from "./messages";
import { drawCompaction, drawHookPrompt, drawReviewEnd, drawReviewStart, drawSleep, drawUnknown } from "./others";
import { drawPrompt } from "./prompt";
import { drawWebSearch } from "./search";
import { drawDynamicCall, drawFunctionOutput, drawMcpCall } from "./tools";

const KINDS = new Map<string, (context: Context) => ItemDrawing>([
  ["userMessage", drawPrompt],
  ["agentMessage", drawMessage],
  ["plan", drawProposedPlan],
  ["reasoning", drawReasoning],
  ["commandExecution", drawCommand],
  ["fileChange", drawFileChange],
  ["mcpToolCall", drawMcpCall],
  ["dynamicToolCall", drawDynamicCall],
  ["functionCallOutput", drawFunctionOutput],
  ["collabAgentToolCall", drawAgentCall],
  ["subAgentActivity", drawAgentActivity],
  ["webSearch", drawWebSearch],
  ["imageView", drawImageView],
  ["imageGeneration", drawImageGeneration],
  ["contextCompaction", drawCompaction],
  ["hookPrompt", drawHookPrompt],
  ["enteredReviewMode", drawReviewStart],
  ["exitedReviewMode", drawReviewEnd],
  ["sleep", drawSleep],
]);

export function drawItem(type: string, context: Context): ItemDrawing {
  return (KINDS.get(type) ?? drawUnknown)(context);
}
