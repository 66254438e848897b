// What clients will see when somebody acts, in sentences: for the question before it is done. Pure.
//
// Those who are in the answers are the healthy and the suspects, and those who flap where there is nobody else (docs/concepts.md).
import { count, span } from "./text.js";

/** How many of a service's instances are in the answers. */
export const served = ({ healthy, counts }) => healthy + counts.suspect || counts.flapping;

const isServed = (instance, service) =>
  instance.status === "healthy" || instance.status === "suspect" ||
  (instance.status === "flapping" && !service.healthy && !service.counts.suspect);

/** Of taking `instances` out of the answers; `stays`: the service is known afterwards. */
function out(service, instances, stays, { ttl, negativeTtl }) {
  const leaving = instances.filter((instance) => isServed(instance, service)).length;
  const left = served(service) - leaving;
  const lines = [];
  if (!leaving) lines.push("Clients see no change: none of it is in the answers now.");
  else if (left > 0) lines.push(`New answers, over DNS and HTTP, no longer have ${leaving === 1 ? "it" : "them"}. ${count(left, "instance")} of ${service.name} ${left === 1 ? "stays" : "stay"} in them.`);
  else if (stays) lines.push(`Nobody is left in the answers: DNS says NODATA, which caches keep for ${span(negativeTtl)}, and GET /resolve/${service.name} is a 404.`);
  else lines.push(`Nobody is left: DNS says NXDOMAIN, which caches keep for ${span(negativeTtl)}, and GET /resolve/${service.name} is a 404.`);
  if (leaving) lines.push(`DNS caches may still hand ${leaving === 1 ? "it" : "them"} out for up to ${span(ttl)}.`);
  return { lines, empties: leaving > 0 && left <= 0 };
}

export function ofDrain(service, instance, dns) {
  const { lines, empties } = out(service, [instance], true, dns);
  return { empties, lines: [...lines, "It stays registered and keeps its connections. Stop it when its clients have left.", "It drains until somebody ends that; also when it falls silent and comes back within 24 h."] };
}

export function ofUndrain(instance, window) {
  if (window) return { empties: false, lines: ["It is no longer draining, but stays out of the answers: it is in maintenance besides."] };
  if (instance.checkFailure) return { empties: false, lines: ["It is no longer draining, but stays out of the answers: the checks of it fail."] };
  return { empties: false, lines: ["It is in new answers at once, as soon as its lease runs."] };
}

/** `instance` null: the whole service. */
export function ofMaintenance(service, instance, dns) {
  const { lines, empties } = out(service, instance ? [instance] : [...service.instances.values()], true, dns);
  if (!instance) lines.push("It is for those who register later, too.");
  return { empties, lines: [...lines, "Heartbeats go on. When the time is over, or somebody ends it, the answers have it again by themselves."] };
}

export function ofEndMaintenance(instance, ofService) {
  const lines = ["Whoever beats and does not drain is in new answers at once."];
  if (instance && ofService) lines.push("The maintenance is that of the whole service: it ends for all of its instances.");
  return { empties: false, lines };
}

/** `instance` null: the whole service. */
export function ofDeregistration(service, instance, dns) {
  const instances = instance ? [instance] : [...service.instances.values()];
  const { lines, empties } = out(service, instances, instances.length < service.instances.size, dns);
  return { empties, lines: [...lines, "No late heartbeat brings it back. A process that still runs is told so (404 INSTANCE_DEREGISTERED), and is back if it registers anew: stop it first."] };
}
