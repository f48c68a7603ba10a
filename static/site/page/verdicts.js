// Whose face it is, as far as that is known: of one face of a photo.
//
//   named    the name was given, for this very face
//   sure     recognised, with hardly any doubt
//   guess    recognised, with doubt
//   hidden   a person of no interest: there is nothing to ask
//   unknown  nobody who is known, or the photo was not compared yet

import { isShown } from "./faces.js";

export function verdict(item, index) {
  const name = item.saving?.get(index)?.name;
  return name ? { kind: "named", name, best: null, label: name, isGiven: true } : found(item, index);
}

/** As the service has it: without a name that is on its way there. */
export function found(item, index) {
  const candidates = item.candidates?.[index] ?? [];
  const given = candidates.find((each) => each.is_enrolled);
  const best = given ?? candidates[0];
  const isGiven = Boolean(given);
  if (!best) return { kind: "unknown", name: "", best: null, label: "Who is this?", isGiven };
  const name = best.name || `Person ${best.contact_id}`;
  if (best.is_hidden) return { kind: "hidden", name, best, label: `${name}, hidden`, isGiven };
  const kind = given ? "named" : best.certainty === "sure" ? "sure" : "guess";
  return { kind, name, best, label: kind === "guess" ? `${name}?` : name, isGiven };
}

/** Whether somebody should look at this face. */
export const isOpen = (item, index) => ["guess", "unknown"].includes(verdict(item, index).kind);

export const openFaces = (item) => item.faces.map((_, index) => index)
  .filter((index) => isShown(item.faces[index]) && isOpen(item, index));

/** Names that are on their way to the service, as `{name}` by face. */
export const saving = (item) => (item.saving ??= new Map());
