export type { Attachment, CaughtPage, Email, EmailBackend, Mailbox, Message, Refusal, Rejected } from "./backend.ts";
export { mailer, type Mailer, type Receipt } from "./mailer.ts";
export { EmailService } from "./service.ts";
