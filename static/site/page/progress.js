// How far all of them are, in one line.

import { announce, find, plural } from "./dom.js";
import { countOf } from "./uploads.js";

const box = find("[data-summary]");
const meter = find("progress", box);
const line = find("p", box);
const failedOnes = find("[data-failed]", box);

export function summarise(items) {
  const of = (...states) => items.filter((item) => states.includes(item.state));
  const [done, failed] = [of("done"), of("failed").length];
  const faces = done.reduce((sum, item) => sum + countOf(item), 0);
  box.hidden = items.length < 2;
  meter.max = Math.max(1, items.length);
  meter.value = done.length + failed;
  const parts = [`${done.length} of ${items.length} done`, plural(faces, "face")];
  failedOnes.hidden = !failed;
  failedOnes.textContent = `${failed} failed: show`;
  line.textContent = parts.join(" · ");
  if (items.length > 1) announce([...parts, ...(failed ? [`${failed} failed`] : [])].join(", "));
}
