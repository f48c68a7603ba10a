// New faces: those of the uploads that show no known person, by person, to be named at once.

import { find, plural } from "../page/dom.js";
import { Review } from "./review.js";

const section = find("[data-new]");
const WORDS = { yes: "This person", no: "Another" };

/**
 * `onName(faces, name)` names these faces, `onHide(faces)` hides them as of no interest; `{load}`,
 * which does nothing where groups are off.
 */
export function newFaces(gallery, onName, onHide) {
  const form = find("[data-new-form]", section);
  if (!form) return { load: async () => {} };
  const [input, button, hide] = ["#new-name", "[data-new-save]", "[data-hide]"].map((each) => find(each, form));
  const review = new Review(section, {
    load: () => gallery().newFaces(),
    words: () => WORDS,
    draw(set, left) {
      find("[data-new-says]", section).textContent = `${plural(left, "person", "people")} to name`;
      const count = review.choices.of("yes").length;
      button.disabled = hide.disabled = !count;
      button.textContent = count === 1 ? "Name this face" : `Name these ${count} faces`;
    },
  });
  const go = () => {
    input.value = "";
    if (!section.hidden) input.focus();
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const [name, faces] = [input.value.trim(), review.choices.of("yes")];
    if (!name || !faces.length) return;
    review.answered(onName(faces, name));
    go();
  });
  hide.addEventListener("click", () => {
    review.answered(onHide(review.choices.of("yes")));
    go();
  });
  find("[data-skip]", section).addEventListener("click", go);
  return review;
}
