/** `@wkfs/core/host`: what of the host a role relies on, and who could change it under its feet. */
export { folderFault, strangerFault } from "./folder.ts";
export { groupId } from "./group.ts";
export { handedSocket } from "./handed-socket.ts";
export { type RelayTarget, relayTo, relayWords } from "./relay.ts";
export { type SocketPlace, listenAt } from "./socket-place.ts";
export { ServiceManager } from "../lifecycle/service-manager.ts";
