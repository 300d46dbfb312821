/** The first descriptor that is handed over. */
const FIRST = 3;

/**
 * The descriptor of a listening socket that the service manager opened for this process, by its `FileDescriptorName=`; undefined where
 * it opened none. The protocol is that of sd_listen_fds(3).
 */
export function handedSocket(name: string, environment: NodeJS.ProcessEnv = process.env): number | undefined {
  const { LISTEN_PID: whose, LISTEN_FDS: count = "0", LISTEN_FDNAMES: names = "" } = environment;
  // A child that inherits the words has not inherited the sockets: Node keeps them to itself.
  if (whose !== String(process.pid)) return undefined;
  const index = names.split(":").slice(0, Number(count)).indexOf(name);
  return index === -1 ? undefined : FIRST + index;
}
