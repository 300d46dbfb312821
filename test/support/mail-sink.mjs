// Runs on a test host as its mail server: takes every mail on the port that it is told, and prints it as one line of JSON. Plain
// JavaScript, because it is started by itself.
import { SMTPServer } from "smtp-server";

const server = new SMTPServer({
  authOptional: true,
  hideSTARTTLS: true,
  onData(stream, _session, done) {
    let text = "";
    stream.setEncoding("utf8").on("data", (piece) => (text += piece));
    stream.on("end", () => {
      process.stdout.write(`${JSON.stringify({ msg: text })}\n`);
      done();
    });
  },
});
server.on("error", () => {});
server.listen(Number(process.argv[2]), "0.0.0.0", () => process.stdout.write(`${JSON.stringify({ msg: "ready" })}\n`));
