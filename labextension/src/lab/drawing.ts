/** What is drawn, and the style of the view: a chunk of its own, loaded with the first session or the panel that is seen. */

// As the build of the widget, which comes first, bundled and minified it. The name before it keeps it a file of its own.
import href from "view.stylesheet!=!../../../codex_nb/labextension/widget.css";
import { addStyle } from "./styles";

export { SessionView } from "../core/view";
export { SessionsList } from "./panel-list";

/** Resolves when the page has the style, or cannot get it. */
export const styled = addStyle(href);
