// A caller of the original registry's users: takes the first instance. Prints {ip, port}, or {status} of what axios threw.
// node resolve.js REGISTRY_URL NAME
const axios = require('axios');

async function resolveService(registryUrl, name) {
  const response = await axios.get(`${registryUrl}/resolve/${name}`);
  return { ip: response.data.instances[0].ip, port: response.data.instances[0].port };
}

resolveService(...process.argv.slice(2)).then(
  (instance) => console.log(JSON.stringify(instance)),
  (error) => console.log(JSON.stringify({ status: error.response.status })),
);
