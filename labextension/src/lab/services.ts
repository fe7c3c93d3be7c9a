/** What JupyterLab can do for a view: typeset formulas, highlight code, open files. */

import type { JupyterFrontEnd } from "@jupyterlab/application";
import type { IEditorLanguageRegistry } from "@jupyterlab/codemirror";
import { PageConfig } from "@jupyterlab/coreutils";
import type { ILatexTypesetter } from "@jupyterlab/rendermime";
import type { Services } from "../tokens";

export function makeServices(
  app: JupyterFrontEnd,
  typesetter: ILatexTypesetter | null,
  languages: IEditorLanguageRegistry | null,
): Services {
  return {
    serverUrl: app.serviceManager.serverSettings.baseUrl,
    ...(typesetter && { typeset: (element) => void typesetter.typeset(element) }),
    ...(languages && { highlight: (code, name, target) => void highlight(languages, code, name, target) }),
    canOpen: (path) => contentsPath(path) !== null,
    openFile: (path) => {
      const found = contentsPath(path);
      if (found !== null) void app.commands.execute("docmanager:open", { path: found });
    },
  };
}

async function highlight(
  languages: IEditorLanguageRegistry,
  code: string,
  name: string,
  target: HTMLElement,
): Promise<void> {
  const language = languages.findBest(name);
  if (language === null) return;
  const drawn = document.createElement("code");
  await languages.highlight(code, language, drawn);
  // The text may have changed while the language was loaded.
  if (target.textContent === code) target.replaceChildren(...drawn.childNodes);
}

/** The path by which Jupyter's contents know a file; null when it lies outside of the server's folder. */
export function contentsPath(path: string, root = PageConfig.getOption("serverRoot")): string | null {
  if (root === "" || !path.startsWith("/") || /(?:^|\/)\.\.?(?:\/|$)/.test(path)) return null;
  const folder = (root.startsWith("~") ? homeOf(path) + root.slice(1) : root).replace(/\/+$/, "");
  return path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : null;
}

/** The server shortens its folder by the home folder and does not say which that is. */
function homeOf(path: string): string {
  return /^(?:\/var)?\/(?:root|home\/[^/]+|Users\/[^/]+)(?=\/)/.exec(path)?.[0] ?? "/nowhere";
}
