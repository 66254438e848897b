// The original's three hot routes and its list in Express 5, as plain as its README has them: a Map of arrays, JSON in and out.
const { randomUUID } = require("node:crypto");
const express = require("express");

const services = new Map();
const app = express();
app.use(express.json());

app.post("/register", (request, response) => {
  const { name, ip, port, metadata = {} } = request.body;
  if (!name || !ip || !port) return response.status(400).json({ error: "name, ip and port are required" });
  const now = Date.now();
  const instance = { id: randomUUID(), name, ip, port, metadata, status: "healthy", registeredAt: now, lastHeartbeat: now };
  services.set(name, [...(services.get(name) || []), instance]);
  response.status(201).json({ message: "Service registered successfully", instance, timestamp: new Date().toISOString() });
});

app.post("/heartbeat", (request, response) => {
  const { name, ip, port } = request.body;
  const instance = (services.get(name) || []).find((one) => one.ip === ip && one.port === port);
  if (!instance) return response.status(404).json({ error: "Instance not found" });
  instance.lastHeartbeat = Date.now();
  const shown = { id: instance.id, name, ip, port, status: instance.status, lastHeartbeat: new Date(instance.lastHeartbeat).toISOString() };
  response.json({ message: "Heartbeat updated", instance: shown, timestamp: new Date().toISOString() });
});

app.get("/resolve/:name", (request, response) => {
  const deadline = Date.now() - 3600 * 1000;
  const instances = (services.get(request.params.name) || []).filter((one) => one.lastHeartbeat > deadline);
  if (!instances.length) return response.status(404).json({ error: "No healthy instances" });
  response.json({ serviceName: request.params.name, instanceCount: instances.length, instances, timestamp: new Date().toISOString() });
});

app.get("/services", (request, response) => {
  response.json({ totalServices: services.size, services: Object.fromEntries(services), timestamp: new Date().toISOString() });
});

app.listen(Number(process.argv[2]), "127.0.0.1", () => console.log("ready"));
