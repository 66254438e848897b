// Node's own resolver. Prints what each call gave, or {code} of what it threw, as one JSON array.
// node lookup.js SERVER:PORT METHOD NAME [METHOD NAME ...]
const { Resolver } = require('node:dns').promises;

const [server, ...calls] = process.argv.slice(2);
const resolver = new Resolver({ timeout: 5000, tries: 1 });
resolver.setServers([server]);

async function main() {
  const results = [];
  for (let i = 0; i < calls.length; i += 2) {
    results.push(await resolver[calls[i]](calls[i + 1]).catch((error) => ({ code: error.code })));
  }
  console.log(JSON.stringify(results));
}

main();
