/**
 * Makes this process answer what `Program.ask` sends, one after the other or at the same time. It ends with the process
 * that started it.
 */
export function answers<Request>(answer: (request: Request) => Promise<unknown>): void {
  process.on("disconnect", () => process.exit());
  process.on("message", ({ id, request }: { id: number; request: Request }) => {
    answer(request).then(
      (reply) => process.send?.({ id, reply }),
      (error: Error) => process.send?.({ id, error: error.message }),
    );
  });
}
