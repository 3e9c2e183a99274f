import { describe, expect, it } from "@jest/globals";
import { errorBody, isMikcarError, MikcarError, notFound, STATUS, unavailable, unsupported } from "../src/index.ts";

describe("errors", () => {
  it("tell the caller the sentence when the status is below 500", () => {
    expect(errorBody(notFound("a"))).toEqual({ error: "not found: a", code: "NOT_FOUND", status: 404 });
  });

  it("keep a backend's own words from the caller when the status is 500 or above", () => {
    const codes = Object.entries(STATUS).filter(([code, status]) => status >= 500 && code !== "UNSUPPORTED");

    const texts = codes.map(([code]) => errorBody(new MikcarError(code as keyof typeof STATUS, "host 10.0.0.7")).error);

    expect(texts.length).toBeGreaterThan(3);
    for (const text of texts) expect(text).not.toContain("10.0.0.7");
  });

  it("say what is unsupported, as that sentence is ours", () => {
    expect(errorBody(unsupported("peek is not possible here")).error).toBe("peek is not possible here");
  });

  it("carry details when there are some", () => {
    const error = new MikcarError("CONFLICT", "no", { details: { at: 3 } });

    expect(errorBody(error)).toEqual({ error: "no", code: "CONFLICT", status: 409, details: { at: 3 } });
  });

  it("are known by their brand, also from another copy of the package", () => {
    const foreign = Object.assign(new Error("x"), { [Symbol.for("mikcar.error")]: true });

    expect(isMikcarError(foreign)).toBe(true);
    expect(isMikcarError(new Error("x"))).toBe(false);
    expect(isMikcarError(undefined)).toBe(false);
  });

  it("keep their cause", () => {
    const cause = new Error("socket");

    expect(unavailable("away", { cause }).cause).toBe(cause);
  });
});
