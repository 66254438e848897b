// A service with npm's consul, unmodified. Prints a line of JSON for each thing that happens: {did} and {changed}: the ids of the service that it
// watches. A line on stdin ends it in order.
// node consul.js PORT NAME WATCHES
const Consul = require('consul');

const [port, name, other] = process.argv.slice(2);
const consul = new Consul({ host: '127.0.0.1', port: Number(port) });
const say = (what) => console.log(JSON.stringify(what));

async function main() {
  const watch = consul.watch({ method: consul.health.service, options: { service: other, passing: true }, backoffFactor: 100 });
  watch.on('change', (rows) => say({ changed: rows.map((row) => row.Service.ID) }));
  watch.on('error', (error) => say({ error: String(error) }));
  watch.on('end', () => say({ ended: true }));
  const id = 'a/b 1';
  await consul.agent.service.register({ name, id, address: '10.0.0.3', port: 8080, tags: ['x'], check: { ttl: '30s' } });
  await consul.agent.check.pass({ id: `service:${id}`, note: 'well' });
  say({ did: 'pass', services: Object.keys(await consul.agent.service.list()) });
  await consul.agent.service.maintenance({ id, enable: true, reason: 'disk' });
  say({ did: 'out', passing: (await consul.health.service({ service: name, passing: true })).length });
  await consul.agent.service.maintenance({ id, enable: false });
  say({ did: 'kv', key: (await consul.kv.get('a/b')) ?? null });
  process.stdin.once('data', async () => {
    watch.end();
    await consul.agent.service.deregister(id);
    say({ did: 'gone', services: Object.keys(await consul.agent.service.list()) });
    process.exit(0);
  });
}
main().catch((error) => { say({ error: String(error) }); process.exit(1); });
