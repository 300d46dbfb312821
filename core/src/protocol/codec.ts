/**
 * How a protocol turns a payload into a packet and back. One value for one key set: the gateway and
 * the client hold codecs and know nothing of ciphers.
 */
export interface Codec {
  seal(payload: Uint8Array): Uint8Array;
  /** The authenticated payload; undefined for anything that these keys did not seal, whatever is wrong with it. */
  open(packet: Uint8Array): Uint8Array | undefined;
}
