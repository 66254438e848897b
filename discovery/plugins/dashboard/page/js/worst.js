// Who needs somebody first stands first: groups of instances by how bad it is for their clients, instances by their status. Pure.
import { served } from "./consequences.js";

// Worst first. Those behind `flapping` are out because somebody wants that.
const RANKS = ["unhealthy", "failing", "suspect", "flapping", "maintenance", "draining", "healthy"];

const broken = ({ counts }) => counts.unhealthy + counts.failing + (counts.suspect + counts.flapping) / 2;
const planned = ({ counts }) => counts.maintenance + counts.draining;

/** Of a group: those that have nobody left in the answers, and not by intention, stand before all others. */
const badness = (group) => (broken(group) && !served(group) ? 1 : 0) + broken(group) / group.size;

/** For groups that are in the order of their names: those that are as bad stay in it. */
export const worseGroup = (a, b) => badness(b) - badness(a) || planned(b) / b.size - planned(a) / a.size;

const rank = ({ status }) => RANKS.indexOf(status); // one that this page does not know is the worst

export const worseInstance = (a, b) => rank(a) - rank(b);
