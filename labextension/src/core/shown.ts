/** Reads what an output is to show: which turns, and as what. */

import type { Face, Window } from "../tokens";
import { isObject, numberOf } from "./json";

export function readWindow(value: unknown): Window {
  if (!isObject(value)) return { from: 0, to: null };
  return { from: numberOf(value.from) ?? 0, to: numberOf(value.to) };
}

export function readFace(value: unknown): Face {
  return value === "terminal" ? "terminal" : "conversation";
}
