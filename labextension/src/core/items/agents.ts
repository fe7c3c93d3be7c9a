/** Sub-agents: who was started or written to, with which words, and how they are. */

import type { JsonObject } from "../../tokens";
import type { Context, ItemDrawing } from "../context";
import { element } from "../dom";
import { isObject, objectOf, textOf } from "../json";
import { reveal } from "../text";
import { Fold, line, muted, stateIcon, textPart, timeOf } from "./parts";

const DEEDS: Record<string, readonly [now: string, past: string]> = {
  spawnAgent: ["Starting a sub-agent", "Started a sub-agent"],
  sendInput: ["Writing to a sub-agent", "Wrote to a sub-agent"],
  sendMessage: ["Writing to a sub-agent", "Wrote to a sub-agent"],
  followupTask: ["Giving a sub-agent a task", "Gave a sub-agent a task"],
  resumeAgent: ["Resuming a sub-agent", "Resumed a sub-agent"],
  wait: ["Waiting for sub-agents", "Waited for sub-agents"],
  closeAgent: ["Closing a sub-agent", "Closed a sub-agent"],
  interruptAgent: ["Interrupting a sub-agent", "Interrupted a sub-agent"],
  listAgents: ["Listing sub-agents", "Listed sub-agents"],
};
const STATES: Record<string, string> = {
  pendingInit: "starting",
  running: "at work",
  interrupted: "interrupted",
  completed: "finished",
  errored: "failed",
  shutdown: "closed",
  notFound: "not found",
};
const MOST_PREVIEW = 80;
const MOST_NAME = 8;

function drawState(agent: string, state: JsonObject): HTMLElement {
  const status = textOf(state.status);
  const message = textOf(state.message);
  // The end of a thread's id is what tells it from the others.
  const name = element("code", "cnb-inlinecode", reveal(agent.slice(-MOST_NAME)));
  name.title = reveal(agent);
  const words = element("div", "cnb-parthead", name, ` ${STATES[status] ?? reveal(status)}`);
  const part = element("div", "cnb-part", words);
  if (message !== "") part.append(element("p", "cnb-pretext", reveal(message)));
  return part;
}

export function drawAgentCall(context: Context): ItemDrawing {
  const fold = new Fold("people");
  return {
    element: fold.element,
    update(item) {
      const { body, status } = item;
      const tool = textOf(body.tool);
      const prompt = textOf(body.prompt);
      const isLive = status === "in_progress";
      const deed = Object.hasOwn(DEEDS, tool) ? DEEDS[tool]?.[isLive ? 0 : 1] : undefined;
      const [firstLine = ""] = prompt.split("\n", 1);
      const model = [textOf(body.model), textOf(body.reasoningEffort)].filter(Boolean).join(", ");
      const states = Object.entries(objectOf(body.agentsStates));
      const time = timeOf(item, context);
      const details = [firstLine.slice(0, MOST_PREVIEW), model, time].filter(Boolean).map((word) => ` · ${reveal(word)}`);
      const parts = (): Node[] => [
        ...(prompt === "" ? [] : [textPart("Prompt", prompt)]),
        ...states.flatMap(([agent, state]) => (isObject(state) ? [drawState(agent, state)] : [])),
      ];
      const last = status === "completed" ? [] : [stateIcon(status)];
      fold.show(
        [...last, deed ?? `Sub-agent: ${reveal(tool)}`, muted(details.join(""))],
        prompt === "" && states.length === 0 ? null : parts,
      );
    },
  };
}

const ACTIVITIES: Record<string, string> = {
  started: "started",
  interacted: "was written to",
  interrupted: "was interrupted",
  completed: "finished",
};

export function drawAgentActivity(): ItemDrawing {
  const holder = element("div");
  return {
    element: holder,
    update({ body }) {
      const kind = textOf(body.kind);
      const word = Object.hasOwn(ACTIVITIES, kind) ? ACTIVITIES[kind] : kind;
      const name = textOf(body.agentPath).split("/").pop() ?? "";
      const who = element("span", "", "Sub-agent ", element("code", "cnb-inlinecode", reveal(name)));
      who.title = reveal(textOf(body.agentPath));
      const model = [textOf(body.model), textOf(body.reasoningEffort)].filter(Boolean).join(", ");
      const by = muted(model === "" ? "" : ` · ${reveal(model)}`);
      holder.replaceChildren(line("people", who, ` ${reveal(word ?? "")}`, by));
    },
  };
}
