// Pages that wait for something: told by the feed, or asked again and again, they show what is new.
//
// The status says which version of the page is the newest. When it is another than the one shown,
// the page is fetched again, and what is in its #live takes the place of what was.

const BUSY_MS = 1500;
const BUSY_WITH_FEED_MS = 5000;
const IDLE_MS = 60_000;
const AGAIN_MS = 1200;
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;

const live = () => document.getElementById("live");
let socket = null;
let timer = null;
let pauseMs = FIRST_PAUSE_MS;
let feed = null;
let asking = false;
let stopped = false;

function listen() {
  if (socket || stopped || !feed) return;
  const url = new URL(feed, location.href.replace(/^http/, "ws"));
  socket = new WebSocket(url);
  socket.onopen = () => { pauseMs = FIRST_PAUSE_MS; };
  socket.onmessage = () => {
    look();
    // Hints come once a second at most: what changed after this one comes with none.
    setTimeout(look, AGAIN_MS);
  };
  socket.onclose = () => {
    socket = null;
    pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
    setTimeout(listen, pauseMs * (0.5 + Math.random() / 2));
  };
}

const isLive = () => socket?.readyState === WebSocket.OPEN;

/** Ask how things are; show what is new. */
export async function look() {
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
    plan();
  }
}

async function take(body) {
  const status = body.status ?? body;
  feed = status.feed_url;
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
  if (stopped) return;
  const busyMs = isLive() ? BUSY_WITH_FEED_MS : BUSY_MS;
  timer = setTimeout(look, live().hasAttribute("data-busy") ? busyMs : IDLE_MS);
}

if (live()) {
  feed = live().dataset.feed;
  listen();
  plan();
  document.addEventListener("visibilitychange", () => document.hidden || look());
}
