// An image found again by the SHA-256 of its bytes.

import { ask, fits, patiently, Refusal, rest, send, TOO_LARGE } from "./api.js";
import { nameDetector } from "./detector.js";
import { el, find, plural } from "./dom.js";
import { byDetector } from "./faces.js";
import { Newest } from "./newest.js";
import { takeDrops } from "./transfer.js";
import { Viewer } from "./viewer.js";

const HASH = /^[0-9a-f]{64}$/;
const TRIES = 30;

export function setUpLookUp() {
  const form = find("[data-look-up]");
  const says = find("[data-look-up-says]");
  const place = find("[data-look-up-result]");
  const viewer = new Viewer(place);
  const [input, chooser] = [form.elements.hash, find("#hash-file")];
  let file = null;
  const lookUps = new Newest();

  const say = (...content) => says.replaceChildren(...content);
  const show = async (faces) => {
    place.hidden = false;
    await viewer.show({ file, name: file?.name ?? "" }, { title: file?.name ?? `${input.value.slice(0, 12)}…`, says: plural(faces.length, "face") });
    await viewer.found(faces);
  };
  const attempt = async (work) => {
    const isNewest = lookUps.next();
    place.hidden = true;
    say(el("p", { class: "quiet" }, "Looking …"));
    try {
      const faces = await work();
      if (!isNewest()) return; // something else is looked up meanwhile
      await show(faces);
      if (isNewest()) say();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (isNewest()) say(refused(error, file && (() => attempt(() => computed(file)))));
    }
  };
  const choose = async ([chosen]) => {
    if (!chosen) return;
    file = chosen;
    if (crypto.subtle && fits(file)) {
      const hash = await sha256(chosen);
      if (file !== chosen) return;
      input.value = hash;
      attempt(() => known(hash));
    } else attempt(() => computed(file)); // without TLS the browser has no hashes; the service tells it
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    input.value = input.value.trim().toLowerCase();
    const hash = input.value;
    if (HASH.test(hash)) attempt(() => known(hash));
    else say(el("p", { class: "notice bad" }, "A SHA-256 has 64 hexadecimal digits: 0 to 9 and a to f."));
  });
  input.addEventListener("input", () => { file = null; });
  chooser.addEventListener("change", () => {
    choose([...chooser.files]);
    chooser.value = "";
  });
  takeDrops(find("#look-up"), choose);
}

async function sha256(file) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The faces behind a hash: of an upload, or of a request for encodings; waits while they are computed. */
async function known(hash) {
  const uploaded = await ofUpload(hash);
  if (uploaded) return uploaded;
  for (let tries = 0; tries < TRIES; tries += 1) {
    const { status, body, waitS } = await patiently(() => ask(`/face_encoding/${hash}`));
    if (status === 200) return byDetector(body);
    await rest(waitS);
  }
  throw new Refusal("This takes longer than usual. Look it up again in a while.");
}

/** The faces of an image that was uploaded with the same bytes; null where there is none. */
async function ofUpload(hash) {
  const { body } = await patiently(() => ask(`/image/?sha256=${hash}&limit=1`));
  const [newest] = body.results;
  return newest ? byDetector((await ask(`/image/${newest.id}/faces/`)).body) : null;
}

async function computed(file) {
  if (!fits(file)) throw new Refusal(TOO_LARGE);
  const form = nameDetector(new FormData());
  form.append("upload_file", file, file.name);
  const answer = await patiently(() => send("/generate_face_encoding", form));
  return answer.faces ? byDetector(answer) : known(answer.file_hash);
}

function refused(error, onCompute) {
  if (error.body?.message !== "No face encoding found!") return el("p", { class: "notice bad" }, error.message);
  const words = onCompute
    ? "This file has not been uploaded here yet."
    : "No file with this hash was uploaded here.";
  const button = onCompute && el("button", { type: "button", class: "button slim", onclick: onCompute }, "Compute them now");
  return el("div", { class: "notice row spread" }, el("p", {}, words), button || null);
}
