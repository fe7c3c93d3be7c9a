/** What an approval asks for beyond the sandbox, in words; what has no known shape is shown as it came. */

import type { Json, JsonObject } from "../tokens";
import { isObject, listOf, objectOf, prettyJson, textOf } from "./json";

export interface Fact {
  label: string;
  value: string;
}

const ACCESS: Record<string, string> = { read: "Read", write: "Write", deny: "No access to" };
const PLACES: Record<string, string> = {
  root: "every file of this machine",
  minimal: "what programs of the system need",
  project_roots: "the folder of the project",
  tmpdir: "the folder for temporary files ($TMPDIR)",
  slash_tmp: "/tmp",
};

/** The permissions of a request by their two known keys; a third one is shown as JSON, since it would be asked for as well. */
export function permissionFacts(permissions: Json): Fact[] {
  if (permissions === null) return [];
  if (!isObject(permissions)) return [raw("Asked for", permissions)];
  const { fileSystem, network, ...others } = permissions;
  return [
    ...(isObject(fileSystem) ? fileFacts(fileSystem) : orRaw("Files", fileSystem)),
    ...(isObject(network) ? networkFacts(network) : orRaw("Network", network)),
    ...Object.entries(others).flatMap(([label, value]) => orRaw(label, value)),
  ];
}

/** The arguments of a tool. */
export function argumentFacts(values: Json): Fact[] {
  if (!isObject(values)) return orRaw("Arguments", values);
  return Object.entries(values).map(([label, value]) => raw(label, value));
}

function raw(label: string, value: Json): Fact {
  return { label, value: typeof value === "string" ? value : prettyJson(value, Infinity) };
}

function orRaw(label: string, value: Json | undefined): Fact[] {
  return value === undefined || value === null ? [] : [raw(label, value)];
}

function fileFacts({ entries, read, write, globScanMaxDepth: _, ...others }: JsonObject): Fact[] {
  const facts = [
    // Older forms of `entries`; they may name the same again.
    ...listOf(read).map((path) => raw("Read", path)),
    ...listOf(write).map((path) => raw("Write", path)),
    ...listOf(entries).map((entry) => {
      const { access, path } = objectOf(entry);
      const label = ACCESS[textOf(access)];
      const place = placeOf(objectOf(path));
      return label === undefined || place === "" ? raw("Files", entry) : { label, value: place };
    }),
    ...Object.entries(others).flatMap(([label, value]) => orRaw(label, value)),
  ];
  return facts.filter(
    (it, i) => facts.findIndex(({ label, value }) => label === it.label && value === it.value) === i,
  );
}

function placeOf({ type, path, pattern, value }: JsonObject): string {
  if (type === "path") return textOf(path);
  if (type === "glob_pattern") return textOf(pattern);
  if (type !== "special") return "";
  const special = objectOf(value);
  const place = PLACES[textOf(special.kind)] ?? textOf(special.path);
  return [place, textOf(special.subpath)].filter(Boolean).join(", in it: ");
}

function networkFacts({ enabled, ...others }: JsonObject): Fact[] {
  return [
    ...(enabled === undefined || enabled === null
      ? []
      : [{ label: "Network", value: enabled === true ? "every address" : "none" }]),
    ...Object.entries(others).flatMap(([label, value]) => orRaw(label, value)),
  ];
}
