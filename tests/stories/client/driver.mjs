// Drives the example that is its first argument: commands on standard input, a line of answer each.
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const { register, follow } = await import(pathToFileURL(process.argv[2]));
const list = follow("other");
let instance, wide;
let undefinedSeen = 0;
for await (const line of createInterface({ input: process.stdin })) {
  if (line === "register") {
    instance = register("js", 3001, { tags: ["blue/green"], keep: 60, checks: [{ id: "pool", ttl: 600, status: "passing" }] });
    wide = register("js / wide", null, { ip: "Db.example.com" });
    console.log("asked");
  } else if (line === "ready") console.log(await Promise.all([instance.ready, list.ready]).then(() => "ready", (error) => `${error.status} ${error.message}`));
  else if (line === "list") console.log(JSON.stringify(list.instances.map((each) => each.port)));
  else if (line === "next") console.log(list.next().port);
  else if (line.startsWith("report ")) console.log(await instance.report(...line.split(" ").slice(1)).then(() => "said"));
  else if (line.startsWith("check ")) console.log(await instance.reportCheck(...line.split(" ").slice(1)).then(() => "said", ({ message }) => message));
  else if (line === "pick") {
    setInterval(() => (undefinedSeen += list.next() === undefined), 5).unref();
    console.log("picking");
  } else if (line === "missed") console.log(undefinedSeen);
  else if (line.startsWith("fails ")) {
    const [, port, times] = line.split(" ");
    for (let at = 0; at < times; at++) list.failed({ ip: "127.0.0.1", port: Number(port) });
    console.log(JSON.stringify([...new Set(Array.from({ length: 20 }, () => list.next().port))].sort()));
  } else if (line.startsWith("retry ")) {
    const tried = [];
    const use = ({ port }) => (tried.push(port), port === Number(line.slice(6)) ? port : Promise.reject(new Error("refused")));
    console.log(JSON.stringify([await list.retry(use, 5), tried.length > 1]));
  } else break;
}
const began = performance.now();
list.stop();
await Promise.all([instance?.stop(), wide?.stop()]);
console.error(`stopped in ${Math.round(performance.now() - began)} ms`);
