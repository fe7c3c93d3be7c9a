/** How high a terminal in a notebook is: a grip below it, and the height that was chosen last. */

import { element, setAttributes } from "./dom";

const KEY = "codex-nb:terminal-height";
const LEAST = 120;
const MOST = 1600;
const STEP = 24;
/** As the style sheet has it: 24 rows. */
const USUAL = 386;

/** Makes a grip that changes the height of a box, by pointer and by arrow keys. */
export function drawGrip(box: HTMLElement): HTMLElement {
  const grip = element("div", "cnb-grip");
  const set = (height: number): void => {
    const whole = Math.round(Math.min(Math.max(height, LEAST), MOST));
    box.style.setProperty("--cnb-height", `${whole}px`);
    grip.ariaValueNow = String(whole);
    try {
      localStorage.setItem(KEY, String(whole));
    } catch {
      // Pages may be forbidden to remember.
    }
  };
  setAttributes(grip, {
    role: "separator",
    tabindex: "0",
    title: "Height of the terminal: drag, or press the arrow keys",
    "aria-valuenow": String(USUAL),
    "aria-valuemin": String(LEAST),
    "aria-valuemax": String(MOST),
    "data-lm-suppress-shortcuts": "true",
  });
  grip.onfocus = () => (grip.ariaValueNow = String(box.offsetHeight));
  grip.onkeydown = (event) => {
    const step = event.key === "ArrowDown" ? STEP : event.key === "ArrowUp" ? -STEP : 0;
    if (step === 0) return;
    event.preventDefault();
    set(box.offsetHeight + step);
  };
  grip.onpointerdown = (event) => {
    const offset = box.offsetHeight - event.clientY;
    // Frames would swallow the pointer; the one that captured it gets all of its events.
    grip.setPointerCapture(event.pointerId);
    grip.onpointermove = (move) => set(offset + move.clientY);
    grip.onlostpointercapture = () => (grip.onpointermove = null);
  };
  let kept: number | null = null;
  try {
    kept = Number(localStorage.getItem(KEY));
  } catch {
    // As above.
  }
  if (kept) set(kept);
  return grip;
}
