// What ties a build to its sources: a hash of all of them, and one of each file that came out.

import { createHash } from "node:crypto";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";

const FOLDERS = ["src", "schema", "build"];
const SINGLES = ["package.json", "package-lock.json", "tsconfig.json", "build.mjs", "rspack.config.cjs"];

const sha256 = (data) => createHash("sha256").update(data).digest("hex");

export async function stampOf(here, target, files) {
  const paths = [...SINGLES, ...(await Promise.all(FOLDERS.map((folder) => filesBelow(here, folder)))).flat()].sort();
  const lines = await Promise.all(paths.map(async (path) => `${path} ${sha256(await readFile(join(here, path)))}\n`));
  const hashes = await Promise.all(files.sort().map(async (name) => [name, sha256(await readFile(join(target, name)))]));
  return { sources: sha256(lines.join("")), files: Object.fromEntries(hashes) };
}

export async function filesBelow(root, folder) {
  const found = await readdir(join(root, folder), { recursive: true, withFileTypes: true });
  return found
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(join(root, "/").length).replaceAll("\\", "/"));
}
