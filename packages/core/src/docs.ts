/** `/docs`: the OpenAPI document as one page that needs no script and nothing from elsewhere. */

import type { OpenApiDocument, Operation, Parameter } from "./openapi.ts";

const STYLE = `
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); --soft: color-mix(in srgb, currentColor 7%, transparent) }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line) }
details { border-bottom: 1px solid var(--line); padding: .5rem 0 }
summary { cursor: pointer } summary code { font-weight: 600 }
.method { display: inline-block; min-width: 4.2rem; font: 600 .8rem ui-monospace, monospace }
pre, code { font-family: ui-monospace, monospace; font-size: .9em } pre { background: var(--soft); padding: .7rem; overflow-x: auto; border-radius: 6px }
table { border-collapse: collapse } td, th { text-align: left; vertical-align: top; padding: .15rem 1rem .15rem 0 }`;

/** @returns HTML in which every text of the document is escaped. */
export function docsPage(document: OpenApiDocument): string {
  const tags = document["tags"] as readonly { name: string; description: string }[]; // as openApi() writes them
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  );
  const sections = tags.map(({ name, description }) => {
    const own = operations.filter(({ operation }) => operation.tags.includes(name));
    return `<h2 id="${escape(name)}">${escape(name)}</h2><p>${escape(description)}</p>${own.map(section).join("")}`;
  });
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>mikcar</title><style>${STYLE}</style>
<h1>mikcar <small>${escape(document.info.version)}</small></h1>
<p>What this process serves, from the route tables it serves with. For programs: <a href="openapi.json">openapi.json</a>.</p>
<nav>${tags.map(({ name }) => `<a href="#${escape(name)}">${escape(name)}</a>`).join(" · ")}</nav>
${sections.join("\n")}</html>`;
}

function section({ path, method, operation }: { path: string; method: string; operation: Operation }): string {
  const { summary, description = "", parameters } = operation;
  return `<details><summary><span class="method">${method}</span> <code>${escape(path)}</code> ${escape(summary)}</summary>
<p>${escape(description)}</p>${parameterTable(parameters)}${bodyBlock(operation)}${replyTable(operation)}
<pre>${escape(curl(path, method, operation))}</pre></details>`;
}

function parameterTable(parameters: readonly Parameter[]): string {
  if (parameters.length === 0) return "";
  const rows = parameters.map((parameter) => {
    const words = parameter.description ?? String(parameter.schema["description"] ?? parameter.schema["type"] ?? "");
    return `<tr><td><code>${escape(parameter.name)}</code><td>${parameter.in}<td>${escape(words)}`;
  });
  return `<table>${rows.join("")}</table>`;
}

function bodyBlock(operation: Operation): string {
  const body = operation["requestBody"];
  return body === undefined ? "" : `<p>Body</p><pre>${escape(JSON.stringify(body, undefined, 2))}</pre>`;
}

function replyTable({ responses }: Operation): string {
  const rows = Object.entries(responses as Record<string, { description: string }>); // as openApi() writes them
  return `<table>${rows.map(([status, { description }]) => `<tr><th>${status}<td>${escape(description)}`).join("")}</table>`;
}

function curl(path: string, method: string, operation: Operation): string {
  const body = operation["requestBody"] as { content: Record<string, unknown> } | undefined; // as openApi() writes it
  const isJson = body !== undefined && "application/json" in body.content;
  const data = isJson
    ? ` -H 'Content-Type: application/json' -d '{…}'`
    : body === undefined
      ? ""
      : " --data-binary @file";
  return `curl -X ${method} http://localhost:3001${path}${data}`;
}

function escape(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
