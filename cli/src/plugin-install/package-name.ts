/**
 * What `use:` says of a package of this name, or undefined when no plugin may be called so. Only `@wkfs/NAME`,
 * `wkfs-plugin-NAME` and `@SCOPE/wkfs-plugin-NAME` are plugins: so a package that happens to be called as a service
 * is, such as `slack`, is never meant.
 */
export function useOf(packageName: string): string | undefined {
  const prefixed = /^(?:@[a-z0-9][a-z0-9._-]*\/)?wkfs-plugin-([a-z0-9][a-z0-9._-]{0,99})$/.exec(packageName)?.[1];
  return prefixed ?? /^@wkfs\/([a-z0-9][a-z0-9._-]{0,99})$/.exec(packageName)?.[1];
}

/** The packages that a name may mean, first the one that is meant when it is there; none when it may mean nothing. */
export function packagesCalled(name: string): readonly string[] {
  if (useOf(name) !== undefined) return [name];
  return /^(?!wkfs-plugin-)[a-z0-9][a-z0-9._-]{0,99}$/.test(name) ? [`@wkfs/${name}`, `wkfs-plugin-${name}`] : [];
}

export const NAMING =
  "Plugins are called @wkfs/NAME, wkfs-plugin-NAME or @SCOPE/wkfs-plugin-NAME, in small letters; plain NAME means one of the first two.";
