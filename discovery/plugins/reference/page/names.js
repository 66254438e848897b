// Names and keys for what Swagger UI draws without: a screen reader says what a field is for, and a keyboard can scroll an example.

const row = element => element.closest("tr")?.querySelector(".parameter__name")?.firstChild?.textContent;

const REPAIRS = {
  ".information-container": element => element.setAttribute("role", "banner"),
  ".modal-ux": element => {
    element.setAttribute("role", "dialog");
    element.setAttribute("aria-modal", "true");
    element.setAttribute("aria-label", "Token");
  },
  ".modal-ux h3": element => element.setAttribute("aria-level", "2"),
  ".modal-ux h4": element => element.setAttribute("aria-level", "3"),
  ".close-modal": element => element.setAttribute("aria-label", "Close"),
  "textarea.body-param__text": element => element.setAttribute("aria-label", "Request body"),
  ".parameters select, .parameters textarea": element => element.setAttribute("aria-label", row(element) ?? "Value"),
  ".examples-select-element": element => element.setAttribute("aria-label", "Example"),
  ".responses-table": element => element.setAttribute("aria-label", element.id.replaceAll("_", " ")),
  "pre, .model-box, .table-container, .modal-ux-content": element => element.setAttribute("tabindex", "0"),
};

function repair() {
  for (const [selector, name] of Object.entries(REPAIRS)) document.querySelectorAll(selector).forEach(name);
}

new MutationObserver(repair).observe(document.getElementById("reference"), { childList: true, subtree: true });
