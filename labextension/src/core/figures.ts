/** What a turn costs, in words: tokens, the context that is left, the limits of the account. */

import type { RateLimit, Spending } from "./read";
import { count } from "./text";

/** Percent of the context that is left, or null where its size is not known. */
export function contextLeft({ last, contextWindow }: Spending): number | null {
  if (!contextWindow) return null;
  return Math.round(100 * Math.min(1, Math.max(0, 1 - last / contextWindow)));
}

export type Level = "calm" | "near" | "over";

export function contextLevel(left: number): Level {
  if (left <= 5) return "over";
  return left <= 20 ? "near" : "calm";
}

export function spendingWords({ total, input, cachedInput, output }: Spending): string {
  const cached = cachedInput > 0 ? ` (${count(cachedInput)} of them cached)` : "";
  return `${count(total)} in all: ${count(input)} in${cached}, ${count(output)} out`;
}

const DAY = 24 * 60;

function windowName(minutes: number | null): string {
  if (minutes === null || minutes <= 0) return "Limit";
  if (minutes === 7 * DAY) return "Weekly limit";
  if (minutes % DAY === 0) return `${minutes / DAY} d limit`;
  return minutes % 60 === 0 ? `${minutes / 60} h limit` : `${minutes} min limit`;
}

/** `5 h limit 34 % used, resets 14:20`; the day stands with it when that is not within 24 hours of `now`. */
export function limitWords({ usedPercent, minutes, resetsAt }: RateLimit, now: number): string {
  const used = `${windowName(minutes)} ${Math.round(usedPercent)} % used`;
  if (resetsAt === null || resetsAt <= now) return used;
  const date = new Date(resetsAt * 1000);
  const time = date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  const day = resetsAt - now < DAY * 60 ? "" : `${date.toLocaleDateString("en-GB", { day: "numeric", month: "short" })} `;
  return `${used}, resets ${day}${time}`;
}

export function limitLevel({ usedPercent }: RateLimit): Level {
  if (usedPercent >= 95) return "over";
  return usedPercent >= 80 ? "near" : "calm";
}
