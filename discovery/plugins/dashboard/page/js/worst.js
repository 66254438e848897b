// Who needs somebody first stands first: groups of instances by how bad it is for their clients, instances by their state. Pure.
import { served } from "./consequences.js";
import { stateOf } from "./table.js";

// Worst first. Of those behind `warning`, who is out is out because somebody wants that, or was given up.
const RANKS = ["unhealthy", "failing", "suspect", "flapping", "warning", "maintenance", "draining", "lapsed", "healthy"];

const broken = ({ counts }, gone) => gone + counts.unhealthy + counts.failing + (counts.suspect + counts.flapping) / 2 + counts.warning / 4;
const planned = ({ counts }) => counts.maintenance + counts.draining;

/** Of a group: those that have nobody left in the answers, and not by intention, stand before all others. */
const badness = (group, gone) => (broken(group, gone) + group.counts.lapsed && !served(group) ? 1 : 0) + share(broken(group, gone), group, gone);

/** For groups that are in the order of their names: those that are as bad stay in it. `gone(key)`: how many have left it lately. */
export const worseGroup = (gone = () => 0) => (a, b) =>
  badness(b, gone(b.key)) - badness(a, gone(a.key)) || share(planned(b), b, 0) - share(planned(a), a, 0);

const share = (part, group, gone) => part / (group.living + gone || 1);
const rank = (instance) => RANKS.indexOf(stateOf(instance)); // one that this page does not know is the worst

export const worseInstance = (a, b) => rank(a) - rank(b);
