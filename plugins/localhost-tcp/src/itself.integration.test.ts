import { fileURLToPath } from "node:url";
import { NetworkNamespace, whyNoKernel } from "@wkfs/core/testing";
import { describe, expect, it } from "vitest";

const reason = whyNoKernel("sysctl");
const peers = fileURLToPath(new URL("../testing/peers.ts", import.meta.url));

/** Calls a port on which nobody listens, and prints the reply or the error's code. */
const script = `
  import { REQUEST, openTransport } from ${JSON.stringify(peers)};
  await using gateway = await openTransport({ port: 33491 });
  console.log(await gateway.call(REQUEST, AbortSignal.timeout(10_000)).catch((error) => error.code + " " + error.message));
`;

describe.skipIf(reason !== undefined)(`a call to nobody${reason ? ` (skipped: ${reason})` : ""}`, () => {
  it("is not answered by itself when the kernel gives it the daemon's port for its own", async () => {
    await using host = await NetworkNamespace.create();
    await host.run("sysctl", "-q", "-w", "net.ipv4.ip_local_port_range=33491 33491");
    const said = await host.run(process.execPath, "--input-type=module", "--eval", script);
    expect(said).toMatch(/^TRANSPORT_UNREACHABLE .*nobody listens/);
  });
});
