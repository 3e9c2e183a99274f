import { describe, expect, it } from "@jest/globals";
import { holds, preconditions } from "../src/index.ts";

describe("preconditions", () => {
  it("are absent when neither header is there", () => {
    expect(preconditions({})).toBeUndefined();
  });

  it("are read from lists of tags, weak ones too", () => {
    const read = preconditions({ "if-match": '"a", W/"b,c"', "if-none-match": "*" });

    expect(read).toEqual({ ifMatch: ["a", "b,c"], ifNoneMatch: "*" });
  });

  it.each(["abc", '"open', '"a" "b"', "W/"])("are refused when the header is %j", (header) => {
    expect(() => preconditions({ "if-match": header })).toThrow(/If-Match: expected \* or entity tags/);
  });

  it.each([
    [{ ifMatch: "*" }, "a", true],
    [{ ifMatch: "*" }, undefined, false],
    [{ ifMatch: ["a"] }, "a", true],
    [{ ifMatch: ["a"] }, "b", false],
    [{ ifMatch: ["a"] }, undefined, false],
    [{ ifMatch: [] }, "a", false],
    [{ ifNoneMatch: "*" }, undefined, true],
    [{ ifNoneMatch: "*" }, "a", false],
    [{ ifNoneMatch: ["a"] }, "b", true],
    [{ ifNoneMatch: ["a"] }, "a", false],
    [{ ifMatch: ["a"], ifNoneMatch: ["a"] }, "a", false],
  ] as const)("%j of %j: %j", (conditions, tag, expected) => {
    expect(holds(conditions, tag)).toBe(expected);
  });
});
