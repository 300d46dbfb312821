/** `@wkfs/core/rescue`: the record of an activation, for who begins, confirms or ends one outside of the daemon. */
export { readWhole, writeDurably } from "./durable-file.ts";
export { type ActivationRecord, type RecordFile, type Stage, currentBoot, newRecord, recordIn } from "./record.ts";
export { type Verdict, notConfirmed, verdictOn } from "./verdict.ts";
