/** Our icon: a prompt in a speech bubble. */

import { LabIcon } from "@jupyterlab/ui-components";

export const codexIcon = new LabIcon({
  name: "codex-nb:codex",
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <g style="fill:none" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round">
    <path class="jp-icon3" stroke="#616161" d="M5.5 4h13A2.5 2.5 0 0 1 21 6.5v8a2.5 2.5 0 0 1-2.5 2.5H11l-4.5 3.5V17h-1A2.5 2.5 0 0 1 3 14.5v-8A2.5 2.5 0 0 1 5.5 4z"/>
    <path class="jp-icon3" stroke="#616161" d="M7.5 8l2.8 2.5L7.5 13M12.5 13h4"/>
  </g>
</svg>`,
});
