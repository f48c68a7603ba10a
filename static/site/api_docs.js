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

window.SwaggerUIBundle({
  domNode: place,
  url: place.dataset.document,
  // Its links would lie within the buttons that open each operation.
  deepLinking: false,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: true,
  // It would ask a server on the internet what it thinks of the document.
  validatorUrl: null,
  presets: [window.SwaggerUIBundle.presets.apis],
  onComplete: () => place.querySelector(".servers select")?.setAttribute("aria-label", "Server"),
});
