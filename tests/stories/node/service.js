// A service of the original registry's users: registers, beats, and says goodbye on SIGINT.
// node service.js REGISTRY_URL NAME PORT BEAT_MS
const axios = require('axios');

class ServiceClient {
  constructor(registryUrl, name, port) {
    this.registryUrl = registryUrl;
    this.address = { name, ip: '127.0.0.1', port };
    this.timer = null;
  }

  async register(beatMs) {
    const metadata = { version: '1.0.0', startTime: new Date().toISOString() };
    await axios.post(`${this.registryUrl}/register`, { ...this.address, metadata });
    console.log('registered');
    this.timer = setInterval(() => this.beat(), beatMs);
  }

  async beat() {
    try {
      await axios.post(`${this.registryUrl}/heartbeat`, this.address);
      console.log('beat');
    } catch (error) {
      console.error('beat failed:', error.message);
    }
  }

  async deregister() {
    clearInterval(this.timer);
    const { name, ip, port } = this.address;
    await axios.delete(`${this.registryUrl}/services/${name}/instances?ip=${ip}&port=${port}`);
    console.log('deregistered');
  }
}

const [registryUrl, name, port, beatMs] = process.argv.slice(2);
const client = new ServiceClient(registryUrl, name, Number(port));
client.register(Number(beatMs));

process.on('SIGINT', async () => {
  await client.deregister();
  process.exit(0);
});
