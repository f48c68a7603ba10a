// Pages that poll the status resource and show what is new.
//
// The status names the newest version of the page. When it is not the version shown, the page is
// fetched again, and the new content of #live replaces the old.

const BUSY_MS = 1500;
const IDLE_MS = 20_000;

const live = () => document.getElementById("live");
let timer = null;
let asking = false;
let again = false;
let stopped = false;

/** Poll once, and show what is new. */
export async function look() {
  again = asking; // what is answered now may be from before what was just done
  if (asking || stopped) return;
  asking = true;
  clearTimeout(timer);
  try {
    const answer = await fetch(live().dataset.status, { headers: { Accept: "application/json" } });
    if (answer.status === 401 || answer.status === 403 || answer.status === 404) {
      stopped = true;
      return;
    }
    if (answer.ok) await take(await answer.json());
  } catch {
    // Offline, or the service starts anew: asked again below.
  } finally {
    asking = false;
    if (again) look();
    else plan();
  }
}

async function take(body) {
  const status = body.status ?? body;
  if (status.version !== live().dataset.version) await renew();
  live().toggleAttribute("data-busy", status.processing);
}

async function renew() {
  const answer = await fetch(location.href);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live");
  if (!answer.ok || !fresh) return;
  const [now, focused] = [live(), pathOf(document.activeElement)];
  const [said, says] = [now.querySelector("[data-said]"), fresh.querySelector("[data-said]")];
  // The element that is read out stays, or a screen reader would not notice.
  if (said && says) {
    if (said.textContent !== says.textContent) said.textContent = says.textContent;
    says.replaceWith(said);
  }
  now.replaceChildren(...fresh.childNodes);
  now.dataset.version = fresh.dataset.version;
  if (focused) document.querySelector(focused)?.focus({ preventScroll: true });
  document.dispatchEvent(new Event("renewed"));
}

/** How to find the element again that has the focus, when it is replaced. */
function pathOf(element) {
  if (!element || !live().contains(element)) return null;
  const form = element.closest("form");
  if (form?.getAttribute("action")) return `form[action="${CSS.escape(form.getAttribute("action"))}"] button`;
  return element.getAttribute("href") ? `#live a[href="${CSS.escape(element.getAttribute("href"))}"]` : null;
}

function plan() {
  clearTimeout(timer);
  if (stopped || document.hidden) return;
  timer = setTimeout(look, live().hasAttribute("data-busy") ? BUSY_MS : IDLE_MS);
}

if (live()) {
  plan();
  document.addEventListener("visibilitychange", () => document.hidden || look());
}
