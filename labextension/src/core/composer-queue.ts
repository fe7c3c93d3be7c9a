/** The messages that wait for their turn, each of which can be taken back. */

import type { Context, Drawing } from "./context";
import { button, element, isOff, setOff, setText } from "./dom";
import { textOf } from "./json";
import type { Queued } from "./read";
import { messageOf, plural, reveal } from "./text";

export function drawQueue(
  context: Context,
  { onTaken, say }: { onTaken(text: string): void; say(problem: string): void },
): Drawing<Queued[]> {
  const head = element("div", "cnb-queuehead");
  const list = element("ol", "cnb-queuelist");
  const holder = element("div", "cnb-queue", head, list);
  const rows = new Map<string, HTMLElement>();

  const draw = ({ id, text }: Queued): HTMLElement => {
    const words = element("span", "cnb-queued", reveal(text));
    const back: HTMLButtonElement = button("Take back", "cnb-more", () => {
      if (isOff(back)) return;
      setOff(back, true);
      say("");
      context
        .request({ op: "unqueue", message: id })
        .then((answer) => onTaken(textOf(answer.text) || text))
        .catch((problem: unknown) => say(messageOf(problem)))
        .finally(() => setOff(back, false));
    });
    back.title = "It does not become a turn, and its text returns into the box";
    return element("li", "", words, back);
  };

  return {
    element: holder,
    update(queue) {
      holder.hidden = queue.length === 0;
      setText(head, queue.length === 1 ? "Next turn" : `Next ${plural(queue.length, "turn")}`);
      for (const id of rows.keys()) {
        if (!queue.some((it) => it.id === id)) rows.delete(id);
      }
      for (const message of queue) if (!rows.has(message.id)) rows.set(message.id, draw(message));
      const wanted = queue.flatMap(({ id }) => rows.get(id) ?? []);
      if (wanted.length !== list.children.length || wanted.some((row, i) => row !== list.children[i])) {
        list.replaceChildren(...wanted);
      }
    },
  };
}
