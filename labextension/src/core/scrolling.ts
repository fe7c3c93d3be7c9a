/** Keeps a scrolling box at its end while content grows, as long as the person has not scrolled away from there. */

import { setAttributes } from "./dom";

const NEAR_PX = 24;

/** Follows the end of `content` inside of `box` while `isActive`, until the function that it returns is called. */
export function followEnd(box: HTMLElement, content: HTMLElement, isActive: () => boolean): () => void {
  let isAtEnd = true;
  const onScroll = (): void => {
    isAtEnd = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_PX;
  };
  const sizes = new ResizeObserver(() => {
    if (!isActive()) return;
    // The keyboard has to reach a box that scrolls.
    setAttributes(box, { tabindex: "0", role: "group", "aria-label": "Transcript" });
    if (isAtEnd) box.scrollTop = box.scrollHeight;
  });
  box.addEventListener("scroll", onScroll, { passive: true });
  sizes.observe(box);
  sizes.observe(content);
  return () => {
    sizes.disconnect();
    box.removeEventListener("scroll", onScroll);
  };
}
