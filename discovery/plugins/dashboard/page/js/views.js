// The screens, in the order of the menu: one line each, one file each in views/. One without a title is not in the menu.
import { Services } from "./views/services.js";

export const VIEWS = [{ id: "services", title: "Services", show: Services }];
