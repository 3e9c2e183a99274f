import { join } from "node:path";
import { defineService, fileUrl, type Open, type Service } from "@mikcar/core";
import type { EmailBackend } from "./backend.ts";
import { mailer, type Mailer } from "./mailer.ts";
import { routes } from "./routes.ts";

type Load<B> = () => Promise<{ readonly open: Open<B> }>;

const smtp = asMailer(() => import("./backends/smtp/index.ts"));

const backends = {
  memory: asMailer(() => import("./backends/memory.ts")),
  file: asMailer(() => import("./backends/file.ts")),
  smtp,
  smtps: smtp,
};

/** The email service; see `docs/contract.md`, section 8. */
export const EmailService: Service<Mailer> = defineService<Mailer>({
  name: "email",
  env: "EMAIL_URL",
  summary: "E-mail",
  routes,
  backends,
  embedded: (dataDir) => fileUrl(join(dataDir, "outbox")),
});

function asMailer(load: Load<EmailBackend>): Load<Mailer> {
  return async () => {
    const { open } = await load();
    return { open: async (url, warn) => mailer(await open(url, warn)) };
  };
}
