import { WkfsError } from "@wkfs/core";
import { hasBlock, isWhole } from "./client-block.ts";
import { parsePorts } from "./ports-text.ts";

/** What a person answered; what the flags of `wkfs client install` say otherwise. */
export interface ClientAnswers {
  /** The block, or the text of a `config.dat`; or where the keys are. */
  readonly source:
    | { readonly text: string }
    | { readonly file: string }
    | { readonly url: string; readonly keys: string };
  readonly tcp: number[] | undefined;
  readonly udp: number[] | undefined;
  readonly force: boolean;
  readonly check: boolean;
}

/** Asks for what a client needs. `there` is a configuration that would be overwritten. Throws `CONFIG_INVALID` when the person leaves. */
export async function askClient(there: string | undefined): Promise<ClientAnswers> {
  const { confirm, input, select } = await import("@inquirer/prompts");
  try {
    const force =
      there !== undefined && (await confirm({ message: `${there} is there. Write it anew?`, default: false }));
    if (there !== undefined && !force) throw left();
    const way = await select({
      message: "What have you from the server?",
      choices: [
        { name: "the block that `wkfs client export` prints there, to paste it", value: "paste" as const },
        { name: "a file with that block, or the config.dat of a PHP client", value: "file" as const },
        { name: "its URL and its key file", value: "url" as const },
      ],
    });
    const source =
      way === "paste"
        ? { text: await pasted() }
        : way === "file"
          ? { file: await input({ message: "The file:", required: true }) }
          : {
              url: await input({
                message: "The URL:",
                required: true,
                validate: (text) =>
                  /^https?:$/.test(URL.parse(text)?.protocol ?? "") || "It begins with http:// or https://",
              }),
              keys: await input({ message: "The key file (v1.json):", required: true }),
            };
    const ports = await input({
      message: "Ports to ask for, such as 22, udp/1194 (nothing: all that the server offers):",
      validate: (text) => parsePorts(text) !== undefined || "Numbers from 1 to 65535, for UDP with udp/ before them",
    });
    const { tcp, udp } = parsePorts(ports)!;
    const check = await confirm({ message: "Ask the server now what it offers? It opens nothing.", default: true });
    const named = tcp.length + udp.length > 0;
    return { source, tcp: named ? tcp : undefined, udp: named ? udp : undefined, force, check };
  } catch (error) {
    // Ctrl-C, and the end of the input.
    throw error instanceof Error && error.name === "ExitPromptError" ? left() : error;
  }
}

function left(): WkfsError {
  return new WkfsError("CONFIG_INVALID", "not all was answered; nothing was written", {
    hint: "Every answer can be given as a flag: `wkfs client install --help`.",
  });
}

/** A block from the terminal, which does not show it: it has the keys, and a terminal keeps what it shows. */
async function pasted(): Promise<string> {
  const { stdin, stdout } = process;
  stdout.write("Paste it now; it is not shown.\n");
  const whole = Promise.withResolvers<string>();
  let text = "";
  const take = (piece: Buffer): void => {
    // A terminal in this mode ends lines as its key does, and has no signals.
    text += piece.toString().replaceAll("\r", "\n");
    if (hasBlock(text) && isWhole(text)) whole.resolve(text);
    // Ctrl-C and Ctrl-D.
    else if (text.includes("\u0003") || text.includes("\u0004")) whole.reject(left());
  };
  const over = (): void => whole.reject(left());
  stdin.setRawMode(true);
  stdin.on("data", take).once("end", over).resume();
  try {
    return await whole.promise;
  } finally {
    stdin.off("data", take).off("end", over).pause();
    stdin.setRawMode(false);
  }
}
