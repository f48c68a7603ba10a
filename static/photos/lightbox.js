// A photo large over the page, with its neighbours by the arrow keys. Without script, its own page.

const links = () => [...document.querySelectorAll("[data-tiles] a[data-large]")];
const SWIPED_PX = 50;
let box = null;
let shown = null;

const el = (tag, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};

function build() {
  const image = el("img", { alt: "" });
  const caption = el("p", { id: "lightbox-caption" });
  const page = el("a", { className: "button slim", textContent: "Like, not me …" });
  const full = el("a", { className: "button slim", textContent: "Full size" });
  const button = (text, onclick) => el("button", { type: "button", className: "button slim", textContent: text, onclick });
  const before = button("Previous", () => go(-1));
  const after = button("Next", () => go(1));
  const close = button("Close", () => box.close());
  box = el("dialog", { className: "lightbox" },
    el("div", { className: "picture" }, image),
    el("div", { className: "bar" }, caption, before, after, page, full, close));
  box.setAttribute("aria-labelledby", "lightbox-caption");
  caption.setAttribute("aria-live", "polite");
  Object.assign(box, { image, caption, page, full, before, after, dismiss: close });
  box.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    go(step);
  });
  box.addEventListener("click", (event) => { if (event.target.closest(".picture") && event.target !== image) box.close(); });
  box.addEventListener("close", () => {
    if (history.state?.lightbox) history.back();
    shown?.focus();
  });
  let from = null;
  box.addEventListener("touchstart", ({ touches }) => { from = touches.length === 1 ? touches[0].clientX : null; }, { passive: true });
  box.addEventListener("touchend", ({ changedTouches }) => {
    const moved = from === null ? 0 : changedTouches[0].clientX - from;
    from = null;
    if (Math.abs(moved) > SWIPED_PX) go(moved < 0 ? 1 : -1);
  });
  document.body.append(box);
}

function show(link) {
  shown = link;
  const picture = link.querySelector("img");
  const all = links();
  const place = all.indexOf(link);
  Object.assign(box.image, { src: link.dataset.large, alt: picture.alt });
  box.caption.textContent = picture.alt;
  box.page.href = link.href;
  box.full.href = link.dataset.full;
  box.before.disabled = place <= 0;
  box.after.disabled = place >= all.length - 1;
  for (const near of [all[place - 1], all[place + 1]]) {
    if (near) new Image().src = near.dataset.large;
  }
}

function go(step) {
  const all = links();
  const next = all[all.indexOf(shown) + step];
  if (next) show(next);
  // A button that is disabled under the finger would leave the focus nowhere.
  if (box.contains(document.activeElement) ? document.activeElement.disabled : true) box.dismiss.focus();
}

// The browser's Back closes it, and leaves the page where it is.
addEventListener("popstate", () => {
  if (box?.open) box.close();
  setTimeout(() => shown?.focus());
});
if (history.state?.lightbox) history.replaceState(null, ""); // after a reload

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("[data-tiles] a[data-large]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  if (!box) build();
  show(link);
  // Without its fragment, to which going back would move the focus.
  history.replaceState(null, "", location.pathname + location.search);
  history.pushState({ lightbox: true }, "");
  box.showModal();
});
