/** The little of autocannon that is used here; it ships no types. */
declare module "autocannon" {
  interface Result {
    readonly "2xx": number;
    readonly non2xx: number;
    readonly errors: number;
    readonly duration: number;
    readonly latency: { readonly p50: number; readonly p99: number };
  }
  export default function autocannon(options: Readonly<Record<string, unknown>>): Promise<Result>;
}
