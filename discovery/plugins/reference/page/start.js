// Starts Swagger UI on this server's own document, and asks nobody else anything.

// It makes a link of the licence, to a page of another host.
const nothing = () => () => null;

// Its headings begin at the third level: one of the second goes before them.
const headed = (Operations, { React }) => props => React.createElement(React.Fragment, null,
  React.createElement("h2", { className: "routes" }, "Routes"), React.createElement(Operations, props));

SwaggerUIBundle({
  url: "openapi.json",
  domNode: document.getElementById("reference"),
  plugins: [() => ({ wrapComponents: { operations: headed, License: nothing, OAS31License: nothing } })],
  validatorUrl: null, // no badge of another server's
  deepLinking: false, // it would put links into buttons
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  syntaxHighlight: { theme: "obsidian" }, // of its themes the one with enough contrast
  persistAuthorization: false, // a token lives as long as the page does
  withCredentials: false,
});

// Its dark scheme is a class, which nothing else sets in this layout.
const dark = matchMedia("(prefers-color-scheme: dark)");
const paint = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", paint);
paint();
