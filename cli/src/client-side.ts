/**
 * All that a knock needs of core. The build puts it and everything it imports into one file, `bundle/client-side.js`: Node takes
 * longer to find and link two hundred modules than a knock takes.
 */
export { createClient } from "@wkfs/core/client";
export { loadClientConfig } from "@wkfs/core/config";
