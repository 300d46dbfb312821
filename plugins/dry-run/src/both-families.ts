import {
  type AttachOptions,
  type Firewall,
  type FirewallCapabilities,
  type FirewallChange,
  type FirewallCheck,
  type FirewallState,
  type ReleaseOptions,
  type LeaseKey,
  inverse,
} from "@wkfs/core";

/** One firewall out of one for each family. */
export class BothFamilies implements Firewall {
  readonly #firewalls: readonly Firewall[];

  constructor(firewalls: readonly Firewall[]) {
    this.#firewalls = firewalls;
  }

  get capabilities(): FirewallCapabilities {
    return {
      ...this.#firewalls[0]!.capabilities,
      families: this.#firewalls.flatMap(({ capabilities }) => capabilities.families),
    };
  }

  async attach(options?: AttachOptions): Promise<void> {
    for (const firewall of this.#firewalls) await firewall.attach(options);
  }

  async apply(change: FirewallChange): Promise<void> {
    const done: [Firewall, FirewallChange][] = [];
    for (const firewall of this.#firewalls) {
      const mine = ({ address }: LeaseKey) => firewall.capabilities.families.includes(address.family);
      const part = {
        open: change.open.filter(mine),
        close: change.close.filter(mine),
        before: change.before.filter(mine),
      };
      try {
        await firewall.apply(part);
        done.push([firewall, part]);
      } catch (error) {
        for (const [other, its] of done.toReversed()) await other.apply(inverse(its));
        throw error;
      }
    }
  }

  async check(): Promise<FirewallCheck> {
    const checks = await Promise.all(this.#firewalls.map((firewall) => firewall.check()));
    return {
      missing: checks.flatMap(({ missing }) => missing),
      count: checks.reduce((sum, { count }) => sum + (count ?? 0), 0),
    };
  }

  async list(): Promise<FirewallState> {
    const states = await Promise.all(this.#firewalls.map((firewall) => firewall.list()));
    return { missing: states.flatMap(({ missing }) => missing), leases: states.flatMap(({ leases }) => leases) };
  }

  async release(options?: ReleaseOptions): Promise<void> {
    for (const firewall of this.#firewalls) await firewall.release(options);
  }

  async detach(): Promise<void> {
    for (const firewall of this.#firewalls) await firewall.detach();
  }
}
