// Shows the API's description with Swagger UI, which comes with the service: nothing from elsewhere.

const place = document.getElementById("api");
const root = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");

/** Swagger UI knows a dark page by a class of its own. */
function followTheme() {
  root.classList.toggle("dark-mode", (root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark");
}

followTheme();
system.addEventListener("change", followTheme);
new MutationObserver(followTheme).observe(root, { attributeFilter: ["data-theme"] });

const METHODS = ["get", "post", "put", "patch", "delete"];
const FIRST = "image_upload";
const FORM = "multipart/form-data";
// Needed with a file, not with a submission, so that the schema cannot require them.
const EXAMPLES = { face_id: "1", score: "1" };

/** The document as it is to be tried: without what only the service requests, and without values in fields of
 *  forms that need none. Swagger UI fills "string" into those, which the service refuses. */
function prepared(api) {
  for (const [path, operations] of Object.entries(api.paths)) {
    for (const method of METHODS) if (operations[method]?.["x-internal"]) delete operations[method];
    if (!METHODS.some((method) => operations[method])) delete api.paths[path];
    for (const method of METHODS) emptyFields(api, operations[method]?.requestBody?.content?.[FORM]?.schema);
  }
  return api;
}

function emptyFields(api, schema) {
  const form = schema?.$ref ? api.components.schemas[schema.$ref.split("/").at(-1)] : schema;
  for (const [name, field] of Object.entries(form?.properties ?? {})) {
    if (!form.required?.includes(name) && !isFile(field)) Object.assign(field, { example: EXAMPLES[name] ?? "" });
  }
}

const isFile = (field) => [field, field.items].some((each) => each?.format === "binary" || "contentMediaType" in (each ?? {}));

/** Operations by words of their path or summary; a tag without any is left out. */
function filtered(tags, phrase) {
  const wanted = phrase.trim().toLowerCase();
  const matches = (each) => `${each.get("path")} ${each.getIn(["operation", "summary"])}`.toLowerCase().includes(wanted);
  return tags.map((tag) => tag.set("operations", tag.get("operations").filter(matches)))
    .filter((tag) => tag.get("operations").size > 0);
}

/** A field that was left empty is not sent. */
function withoutEmptyFields(request) {
  if (request.body instanceof FormData) {
    for (const [name, value] of [...request.body]) if (value === "") request.body.delete(name);
  }
  return request;
}

const isFirst = (each) => Number(each.getIn(["operation", "operationId"]) === FIRST);

/** Swagger UI names neither of these two for a screen reader. */
function nameControls() {
  const server = place.querySelector(".servers select");
  const filter = place.querySelector(".operation-filter-input");
  server?.setAttribute("aria-label", "Server");
  filter?.setAttribute("aria-label", "Filter");
  filter?.setAttribute("placeholder", "Filter, for example: recognize");
  return server && filter;
}

const rendered = new MutationObserver(() => nameControls() && rendered.disconnect());
rendered.observe(place, { childList: true, subtree: true });

const answer = await fetch(place.dataset.document, { headers: { Accept: "application/json" } });
window.SwaggerUIBundle({
  domNode: place,
  spec: prepared(await answer.json()),
  plugins: [{ fn: { opsFilter: filtered } }],
  requestInterceptor: withoutEmptyFields,
  filter: true,
  operationsSorter: (one, other) => isFirst(other) - isFirst(one),
  // Its links would lie within the buttons that open each operation.
  deepLinking: false,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: true,
  // It would ask a server on the internet what it thinks of the document.
  validatorUrl: null,
  presets: [window.SwaggerUIBundle.presets.apis],
});
