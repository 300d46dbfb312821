import type { ServerAnswers } from "./answers.ts";
import { changedYaml } from "./changed-yaml.ts";
import type { Former } from "./former.ts";
import { type ServerPlaces, serverValue, serverYaml } from "./server-yaml.ts";

/** The configuration that would be written: a fresh one, or the former one with other answers. */
export function plannedText(answers: ServerAnswers, places: ServerPlaces, former: Former | undefined): string {
  if (former === undefined) return serverYaml(answers, places);
  const value = (of: ServerAnswers) => serverValue(of, places);
  return changedYaml(former.text, value(former.answers), value(answers));
}
