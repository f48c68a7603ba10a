// The faces of a photo, boxed on request; the one that is picked is one's own, or a member's.

const show = document.querySelector("[data-show-faces]");
const place = document.querySelector("[data-faces]");
const asks = document.querySelector("[data-face-asks]");
const boxes = place ? [...place.children] : [];

function pick(box) {
  boxes.forEach((each) => each.setAttribute("aria-pressed", String(each === box)));
  asks.hidden = false;
  asks.querySelector("[data-face-words]").textContent = box.ariaLabel;
  asks.querySelectorAll("[name=face]").forEach((input) => { input.value = box.dataset.face; });
}

for (const box of boxes) {
  for (const side of ["left", "top", "width", "height"]) box.style[side] = `${box.dataset[side]}%`;
  box.addEventListener("click", () => pick(box));
}

if (show) {
  show.hidden = false;
  show.addEventListener("click", () => {
    place.hidden = !place.hidden;
    asks.hidden = true;
    show.setAttribute("aria-expanded", String(!place.hidden));
    boxes.forEach((each) => each.setAttribute("aria-pressed", "false"));
    if (!place.hidden) boxes[0].focus();
  });
}
