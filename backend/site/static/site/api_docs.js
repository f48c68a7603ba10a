// Shows the API's description with Swagger UI, which comes with the service: nothing from elsewhere.

const place = document.getElementById("api");

window.SwaggerUIBundle({
  domNode: place,
  url: place.dataset.document,
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: true,
  // It would ask a server on the internet what it thinks of the document.
  validatorUrl: null,
  persistAuthorization: false,
  presets: [window.SwaggerUIBundle.presets.apis],
});
