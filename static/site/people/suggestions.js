// Suggestions: faces of the uploads that may be a known person, answered many at once.

import { announce, el, find, plural } from "../page/dom.js";
import { nameOf } from "../page/gallery.js";
import { Review } from "./review.js";
import { fill } from "./tiles.js";

const section = find("[data-suggestions]");

/** `onDecide(person, yes, no)` stores the answers. `{load}`. */
export function suggestions(gallery, onDecide) {
  const [title, button] = [find("[data-asks]", section), find("[data-decide]", section)];
  const face = el("span", { class: "portrait" });
  find("[data-asked]", section).append(face);
  let asked = null;
  const review = new Review(section, {
    load: () => gallery().suggestions(),
    words: (person) => ({ yes: nameOf(person), no: `Not ${nameOf(person)}`, unsure: "Not sure" }),
    draw(person, left) {
      title.textContent = `Is this ${nameOf(person)}?`;
      const more = person.faces_count - person.faces.length;
      find("[data-asks-more]", section).textContent = [
        more > 0 && `${plural(more, "more face")} after these`,
        left > 1 && plural(left, "person", "people"),
      ].filter(Boolean).join(", ");
      if (asked !== person.contact_id) {
        asked = person.contact_id;
        fill(face, gallery().people.find((each) => each.contact_id === asked)?.crop_url);
      }
      const [yes, no] = ["yes", "no"].map((answer) => review.choices.of(answer).length);
      button.disabled = !(yes + no);
      button.textContent = [yes && `Yes to ${yes}`, no && `${yes ? "no" : "No"} to ${no}`].filter(Boolean).join(", ") || "Yes";
    },
  });
  button.addEventListener("click", () => {
    const [person, yes, no] = [review.current, review.choices.of("yes"), review.choices.of("no")];
    review.answered(onDecide(person, yes, no));
    announce(section.hidden ? "Nothing more to answer" : title.textContent);
  });
  return review;
}
