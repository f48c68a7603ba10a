// One gallery: its people, what it recognises, and the faces that are added to it or taken off.

import { ask, here, patiently, Refusal } from "./api.js";
import { pause } from "./dom.js";
import { headers } from "./key.js";

const USERS = "/recognition/users/";
const LOOK_AGAIN_MS = 500;

export class Gallery {
  people = [];
  #user;
  #base;

  constructor(user) {
    this.#user = user;
    this.#base = `${USERS}${user}`;
  }

  /** The numbers of all galleries of the caller. */
  static async all() {
    return (await patiently(() => ask(USERS))).body.map((each) => each.user_id);
  }

  /** The one that is shown where none was chosen. */
  static async first() {
    return new Gallery((await Gallery.all())[0] ?? 1);
  }

  /** Read the people; a gallery that does not exist yet has none. */
  async load() {
    const exists = (await Gallery.all()).includes(this.#user);
    this.people = exists ? (await patiently(() => ask(`${this.#base}/contacts/`))).body : [];
    this.people.sort((one, other) => nameOf(one).localeCompare(nameOf(other)));
  }

  /** The candidates of each face of a processed submission, in the order of its faces. */
  async recognise(submission) {
    if (!this.people.length) return null;
    const { faces } = await this.#call("POST", "/recognize/", { submission, faces: "all" });
    const byFace = [];
    for (const { face, candidates } of faces) byFace[face] = candidates; // hidden ones are left out
    return byFace;
  }

  named(name) {
    const wanted = name.toLocaleLowerCase();
    return this.people.find((each) => each.name.toLocaleLowerCase() === wanted);
  }

  /** The faces of the uploads that show no known person: `[{faces: [{submission, face, crop_url}]}]`. */
  async newFaces() {
    return (await patiently(() => ask(`${this.#base}/unknown/`))).body.groups;
  }

  /** Faces of the uploads that may be known people: `[{contact_id, name, faces_count, faces}]`. */
  async suggestions() {
    if (!this.people.length) return [];
    return (await patiently(() => ask(`${this.#base}/suggestions/`))).body.contacts;
  }

  /** Many answers about one person as one operation; its id undoes it. */
  decide({ contact_id: contact }, yes, no) {
    return this.#call("POST", `/contacts/${contact}/decisions/`, { yes, no });
  }

  /** Take an operation back. */
  undo(operation) {
    return this.#change("POST", `/recognition/operations/${operation}/undo/`);
  }

  /** Add a face to the person of that name, who may be new: `{contact_id, face_id}`. */
  async enrol(submission, face, name) {
    return (await this.enrolAll([{ submission, face }], name))[0];
  }

  /** As `enrol` for several faces; those that could be added. */
  async enrolAll(faces, name) {
    const known = this.named(name);
    const [path, body] = known ? [`/contacts/${known.contact_id}/faces/`, { faces }] : ["/contacts/", { name, faces }];
    const { added, not_found: there, error } = await this.#call("POST", path, body);
    const found = [...added, ...there];
    if (!found.length) throw new Refusal(error[0]?.reason ?? "The face could not be added.");
    return found;
  }

  /** Take a face off its person; a person without faces goes too. */
  withdraw(face) {
    return this.withdrawAll([face]);
  }

  /** As `withdraw` for several faces of one person. */
  async withdrawAll(faces) {
    const path = `/contacts/${faces[0].contact_id}`;
    await this.#call("DELETE", `${path}/faces/`, { faces: faces.map(({ face_id: id }) => ({ face_id: id })) });
    await this.#forgetEmpty(path);
  }

  /** This face is not the person's; or it may be. */
  reject(submission, face, { contact_id: contact }, isRejected) {
    return this.#call(isRejected ? "POST" : "DELETE", `/contacts/${contact}/rejections/`, { submission, face });
  }

  /** The address of the picture of a face that is known. */
  cropOf({ contact_id: contact, face_id: face }) {
    return `${this.#base}/contacts/${contact}/faces/${face}/crop.jpg`;
  }

  /** A box round a face that was missed; the face with its number. */
  draw(submission, box) {
    return this.#correct("POST", submission, { box });
  }

  /** No face is in the box of this one; or there is. */
  hide(submission, face, isHidden) {
    return this.#correct(isHidden ? "DELETE" : "POST", submission, { face });
  }

  async #correct(method, submission, values) {
    return (await patiently(() => ask(`/image/${submission}/faces/`, { method, body: json(values) }))).body;
  }

  async faces({ contact_id: contact }) {
    return (await patiently(() => ask(`${this.#base}/contacts/${contact}/faces/`))).body;
  }

  /** The ids of a person's faces that do not fit the others, with the person that they are nearer to. */
  async oddFaces({ contact_id: contact }) {
    return (await patiently(() => ask(`${this.#base}/contacts/${contact}/odd/`))).body.faces;
  }

  /** Pairs of people who are likely one: `[{contacts, distance}]`. */
  async twins() {
    if (this.people.length < 2) return [];
    return (await patiently(() => ask(`${this.#base}/twins/`))).body.pairs;
  }

  /** Two people are two, and not asked about again; or they may be one. */
  setDistinct({ contact_id: one }, { contact_id: other }, isDistinct) {
    return this.#call(isDistinct ? "POST" : "DELETE", "/twins/", { contact_ids: [one, other] });
  }

  /** Merges and decisions of the last day. */
  async undoable() {
    if (!this.people.length) return [];
    return (await patiently(() => ask(`${this.#base}/undoable/`))).body.operations;
  }

  /** A person of no interest: recognised, but neither shown nor asked about. */
  setHidden({ contact_id: contact }, isHidden) {
    return this.#call("PATCH", `/contacts/${contact}/`, { is_hidden: isHidden });
  }

  /** These faces are of one person of no interest, whose name is not known. */
  async hideAll(faces) {
    const { added, error } = await this.#call("POST", "/contacts/", { name: "", faces });
    if (!added.length) throw new Refusal(error[0]?.reason ?? "These faces are known by now.");
    await this.setHidden(added[0], true);
    return added[0];
  }

  rename({ contact_id: contact }, name) {
    return this.#call("PATCH", `/contacts/${contact}/`, { name });
  }

  /** All faces of one person become another's; the operation, which can be undone. */
  async merge({ contact_id: contact }, { contact_id: into }) {
    const path = `${this.#base}/contacts/${into}/merge/`;
    return (await this.#operation("POST", path, { from_contact_id: contact })).id;
  }

  /** Some faces of a person become another's, who may be new; the number of that one. */
  async move({ contact_id: contact }, faces, name) {
    const known = this.named(name);
    // No other person has the time of this moment as the number.
    const to = known?.contact_id ?? Date.now();
    const ids = faces.map(({ face_id: id }) => ({ face_id: id }));
    await this.#call("POST", `/contacts/${contact}/faces/move/`, { faces: ids, to_contact_id: to });
    if (!known) await this.rename({ contact_id: to }, name);
    return to;
  }

  /** Take `move` back: a person who was new with it goes. */
  async moveBack(person, faces, from) {
    const ids = faces.map(({ face_id: id }) => ({ face_id: id }));
    const path = `/contacts/${from}`;
    await this.#call("POST", `${path}/faces/move/`, { faces: ids, to_contact_id: person.contact_id });
    await this.#forgetEmpty(path);
  }

  /** Everybody, with all faces and pictures. */
  forgetAll() {
    return this.#call("DELETE", "/");
  }

  forget({ contact_id: contact }) {
    return this.#call("DELETE", `/contacts/${contact}/`);
  }

  /** A change or a recognition: at once, or when its turn came. */
  #call(method, path, values) {
    return this.#change(method, `${this.#base}${path}`, values);
  }

  async #change(method, path, values) {
    return (await this.#operation(method, path, values)).result;
  }

  async #operation(method, path, values) {
    const body = values && json(values);
    const answer = await patiently(() => ask(path, { method, body }));
    if (answer.status !== 202) return { id: answer.operation, result: answer.body };
    return { id: answer.body.operation_id, result: await ended(answer.body.operation_url) };
  }

  async #forgetEmpty(path) {
    const { body } = await patiently(() => ask(`${this.#base}${path}/`));
    if (!body.faces_count) await this.#call("DELETE", `${path}/`);
  }
}

const json = (values) => new Blob([JSON.stringify(values)], { type: "application/json" });

export const nameOf = (person) => person.name || `Person ${person.contact_id}`;

/** The address of a picture that may need the key, null without one; revoke it after use. */
export async function picture(address, signal) {
  try {
    const response = await fetch(here(address), { headers: headers(), signal });
    return response.ok ? URL.createObjectURL(await response.blob()) : null;
  } catch {
    return null; // stopped, or the service does not answer
  }
}

async function ended(address) {
  for (;;) {
    await pause(LOOK_AGAIN_MS);
    const { body } = await patiently(() => ask(address));
    if (body.status === "failed") throw new Refusal(body.reason ?? "It failed.");
    if (body.status === "done") return body.result;
  }
}
