/** What the keys of both configuration files mean, by their paths; `[]` is an entry of a list. In Markdown, for json-schema.ts. */
export const SERVER_KEYS: Readonly<Record<string, string>> = {
  protect: "The ports that are closed until somebody knocks. At least one in all.",
  "protect.tcp": "TCP ports.",
  "protect.udp": "UDP ports.",
  "protect.maxTime": "Longest lease: seconds, or text such as `90s`, `10m`, `2h`, `1d`; at most 2,147,483 s.",
  gateway: "The web half. Required for `wkfs serve`.",
  "gateway.listen":
    "`host:port`, `[v6]:port` or `unix:/path`. A socket gets mode 0660, and who may connect is trusted as a proxy.",
  "gateway.path": "The one path that is answered. Everything else is a 404.",
  "gateway.trustedProxies": "Addresses and networks whose `X-Forwarded-For` is believed.",
  "gateway.keys":
    "A key file `{ key1, iv1, key2, iv2, sign }` in hex, or a list of named key sets, which tell clients apart.",
  "gateway.keys[].name":
    "Name of the set: letters, digits and `_ . @ -`, at most 64. It stands in the log, the history and the mails.",
  "gateway.keys[].keys": "Its key file.",
  "gateway.keys[].tcp":
    "TCP ports that it may ask for. A set that names ports of one protocol gets these and no others.",
  "gateway.keys[].udp": "UDP ports that it may ask for.",
  "gateway.keys[].maxTime": "Its longest lease. By default `protect.maxTime`, which it cannot exceed.",
  "gateway.workers": "Processes that serve HTTP. More than one needs a TCP address in `listen`.",
  "gateway.tls": "For HTTPS without a web server in front; TLS 1.2 or newer.",
  "gateway.tls.cert": "PEM file with the certificate and those between it and its authority.",
  "gateway.tls.key": "PEM file with the private key. It is a secret, and its mode is looked at.",
  transport: "How gateway and daemon speak. Required.",
  firewall: "The packet filters, required for the daemon. A lease goes to every one that takes its address family.",
  store: "What remembers leases and history. Required for the daemon.",
  notify:
    "Who is told. Five messages go out at once, then one a minute with all that came meanwhile; what fails is tried again.",
  "notify[].events": "Which events are told.",
  control:
    "The daemon's control socket, over which `wkfs status` and others ask it. Without this section there is none.",
  "control.path":
    "The socket, absolute, at most 93 bytes. Its folder is made, and must be the daemon's user's or root's.",
  "control.group":
    "Group whose members may ask and steer the daemon, by name or number. By default that of the daemon.",
  rescue: "Where `wkfs activate` leaves its record and the daemon finds it.",
  "rescue.path":
    "A folder, absolute; for stores without a `path`. By default the folder of `store.path`. Two instances need two folders.",
  limits: "How much may be open, and how often may be asked.",
  "limits.leases": "Most open leases in all. What is open can always be renewed.",
  "limits.leasesPerAddress": "Most open leases of one address.",
  "limits.knocksPerSecond": "Most knocks of one address in one second.",
};

export const CLIENT_KEYS: Readonly<Record<string, string>> = {
  url: "URL of the gateway, with its path.",
  keys: "The key file, mode 0600 or 0640.",
  tcp: "TCP ports to ask for. Without `tcp` and `udp` the client asks for all that is offered; with one of them, for these ports only.",
  udp: "UDP ports to ask for.",
  maxTime: "How long to ask for: seconds, or text such as `90s`, `10m`. By default as long as the server allows.",
  ca: "A file of PEM certificates to trust in place of the system's.",
};
