// Where DNS is answered, for who asks from where this page is. Pure.

const USUAL = { host: "127.0.0.1", port: 8600, domains: ["svc.local"], types: ["A", "SRV"], ttl: 5, negativeTtl: 2 };

/** {host, port, domains, types, ttl, negativeTtl} of a GET /stats (null: the usual). `page`: the page's host name, an IPv6 address in brackets. */
export function dnsPlace(stats, page) {
  if (!stats?.dns?.listening) return USUAL;
  const { listening, domains, types, ttlSeconds, negativeTtlSeconds } = stats.dns;
  const host = page.replace(/^\[|\]$/g, "");
  const own = listening.find(({ ip }) => ip === host);
  const anywhere = listening.find(({ ip }) => ip === "0.0.0.0" || ip === "::");
  const { ip, port } = own ?? (anywhere ? { ip: host, port: anywhere.port } : listening[0]);
  return { host: ip, port, domains, types, ttl: ttlSeconds, negativeTtl: negativeTtlSeconds };
}
