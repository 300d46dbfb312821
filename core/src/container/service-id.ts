import type { ServiceIdentifier } from "inversify";

/**
 * A typed name of a service. `Symbol.for` keeps its meaning across two copies of core in one process.
 */
export function serviceId<Service>(name: string): ServiceIdentifier<Service> {
  return Symbol.for(`wkfs.${name}`) as ServiceIdentifier<Service>;
}
