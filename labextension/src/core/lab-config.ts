/** What JupyterLab and Notebook 7 write into their page about themselves. */

import { isObject } from "./json";

/** A text of the configuration; "" when it is not there. */
export function labConfig(name: string): string {
  try {
    const config: unknown = JSON.parse(document.getElementById("jupyter-config-data")?.textContent ?? "");
    const value = isObject(config) ? config[name] : "";
    return typeof value === "string" ? value : "";
  } catch {
    return "";
  }
}
