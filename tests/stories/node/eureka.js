// A service with eureka-js-client, unmodified. Prints a line of JSON for each thing that happens: {event}, and {found} once a second: the
// ids of the app that it looks for. A line on stdin ends it in order.
// node eureka.js PORT APP LOOKS_FOR
const { Eureka } = require('eureka-js-client');

const [port, app, other] = process.argv.slice(2);
const say = (what) => console.log(JSON.stringify(what));
const client = new Eureka({
  logger: { debug() {}, info() {}, warn() {}, error: (...words) => say({ error: words.join(' ') }) },
  instance: {
    app, instanceId: `host-1:${app}`, hostName: 'host-1', ipAddr: '127.0.0.1', vipAddress: app, metadata: { a: 'b' },
    port: { $: 8080, '@enabled': 'true' },
    dataCenterInfo: { '@class': 'com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo', name: 'MyOwn' },
  },
  eureka: {
    host: '127.0.0.1', port, servicePath: '/eureka/apps/', maxRetries: 1, heartbeatInterval: 500, registryFetchInterval: 500,
  },
});
for (const event of ['started', 'registered', 'deregistered', 'heartbeat', 'registryUpdated']) client.on(event, () => say({ event }));
client.start((error) => error && say({ error: String(error) }));
setInterval(() => say({ found: client.getInstancesByAppId(other).map((each) => each.instanceId) }), 500).unref();
process.stdin.once('data', () => client.stop(() => process.exit(0)));
