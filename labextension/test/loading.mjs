// Sources of src/core as a module of node.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

/** What a script exports that stands in src/core. */
export async function load(script) {
  const resolveDir = fileURLToPath(new URL("../src/core", import.meta.url));
  const { outputFiles } = await build({ stdin: { contents: script, resolveDir }, bundle: true, format: "esm", write: false });
  const folder = await mkdtemp(join(tmpdir(), "codex-nb-core-"));
  const bundle = join(folder, "core.mjs");
  await writeFile(bundle, outputFiles[0].contents);
  const loaded = await import(pathToFileURL(bundle).href);
  await rm(folder, { recursive: true });
  return loaded;
}
