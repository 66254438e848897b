// The screens, in the order of the menu: one line each, one file each in views/. One without a title is not in the menu, but belongs to
// `menu`.
import { Access } from "./views/access.js";
import { Dns } from "./views/dns.js";
import { Feed } from "./views/feed.js";
import { Gone } from "./views/gone.js";
import { Hosts } from "./views/hosts.js";
import { Load } from "./views/load.js";
import { Maintenance } from "./views/maintenance.js";
import { Nodes } from "./views/nodes.js";
import { Service } from "./views/service.js";
import { Services } from "./views/services.js";
import { Zones } from "./views/zones.js";

export const VIEWS = [
  { id: "services", title: "Services", show: Services },
  { id: "service", menu: "services", show: Service },
  { id: "hosts", title: "Hosts", show: Hosts },
  { id: "feed", title: "Feed", show: Feed },
  { id: "gone", title: "Recently gone", show: Gone },
  { id: "dns", title: "DNS", show: Dns },
  { id: "maintenance", title: "Maintenance", show: Maintenance },
  { id: "load", title: "Load", show: Load },
  { id: "nodes", title: "Nodes", show: Nodes },
  { id: "zones", title: "Zones", show: Zones },
  { id: "access", title: "Access", show: Access },
];
