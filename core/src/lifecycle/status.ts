/** Where a role is in its life; it goes from left to right, once. */
export type Status = "new" | "starting" | "running" | "stopping" | "stopped";
