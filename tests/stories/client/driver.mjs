// Drives the example that is its first argument: commands on standard input, a line of answer each.
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const { register, follow } = await import(pathToFileURL(process.argv[2]));
const list = follow("other");
let deregister = async () => {};
for await (const line of createInterface({ input: process.stdin })) {
  if (line === "register") {
    deregister = await register("js", 3001, { tags: ["blue"] });
    console.log("registered");
  } else if (line === "list") console.log(JSON.stringify(list.instances.map((each) => each.port)));
  else if (line === "next") console.log(list.next().port);
  else break;
}
list.stop();
await deregister();
process.exit(0);
