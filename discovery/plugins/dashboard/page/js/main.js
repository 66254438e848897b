// Starts the page: the table is filled and kept, and the frame is drawn.
import { App } from "./frame.js";
import { h, render } from "./html.js";
import { start } from "./live.js";
import { start as startStats } from "./stats.js";

start();
startStats();
const root = document.getElementById("app");
root.textContent = "";
render(h(App), root);
