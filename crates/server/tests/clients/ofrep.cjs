// Asks a running server with OpenFeature's own packages, and prints a line of JSON per answer:
// [name, value, variant, reason, layer, error]. The test beside it knows what they must be.
"use strict";
const { createRequire } = require("node:module");
const installed = createRequire(`${process.env.CLIENTS}/`);
const { OpenFeature } = installed("@openfeature/server-sdk");
const { OFREPProvider } = installed("@openfeature/ofrep-provider");
const { OFREPApi } = installed("@openfeature/ofrep-core");

const baseUrl = process.env.SERVER;
const headers = JSON.parse(process.env.HEADERS);
const print = (...answer) => console.log(JSON.stringify(answer));

async function client(name, options) {
  await OpenFeature.setProviderAndWait(name, new OFREPProvider({ baseUrl, headers, ...options }));
  return OpenFeature.getClient(name);
}

async function evaluations() {
  const flags = await client("good", {});
  const who = { targetingKey: "u_1", plan: "pro" };
  const ask = async (name, kind, key, fallback, context) => {
    const it = await flags[`get${kind}Details`](key, fallback, context);
    print(name, it.value, it.variant ?? null, it.reason, it.flagMetadata.layer ?? null, it.errorCode ?? null);
  };
  await ask("boolean", "Boolean", "on", false, who);
  await ask("string", "String", "team/colour", "none", who);
  await ask("encoded key", "String", encodeURIComponent("team/colour"), "none", who);
  await ask("integer", "Number", "count", -1, who);
  await ask("float", "Number", "ratio", -1, who);
  await ask("object", "Object", "shape", {}, who);
  await ask("rule", "Boolean", "pros", false, who);
  await ask("no rule", "Boolean", "pros", true, { targetingKey: "u_1", plan: "free" });
  await ask("rollout", "Boolean", "most", false, who);
  await ask("disabled", "Boolean", "off", true, who);
  await ask("wrong type", "String", "on", "fallback", who);
  await ask("unknown flag", "Boolean", "nowhere", true, who);
  await ask("no targeting key", "Boolean", "most", true, { plan: "pro" });
  await ask("invalid context", "Boolean", "on", false, { targetingKey: "k".repeat(2000) });
  await ask("invalid key", "Boolean", "a b", true, who);
}

async function refusals() {
  const mangle = (request) => fetch(new Request(request, { body: "{", duplex: "half" }));
  const stranger = headers.map(([name, value]) => [name, name === "authorization" ? "Bearer x" : value]);
  for (const [name, options] of [
    ["unreadable body", { fetchImplementation: mangle }],
    ["wrong token", { headers: stranger }],
    ["no tenant", { headers: headers.filter(([name]) => name !== "x-tenant-id") }],
  ]) {
    const flags = await client(name, options);
    const it = await flags.getBooleanDetails("on", false, {});
    print(name, it.value, it.variant ?? null, it.reason, null, it.errorCode);
  }
}

async function bulk() {
  const api = new OFREPApi(baseUrl);
  const ask = async (name, context, tag) => {
    const sent = tag ? [...headers, ["if-none-match", tag]] : headers;
    const { httpStatus, value, httpResponse } = await api.postBulkEvaluateFlags({ context }, { headers: sent });
    const keys = value && value.flags ? value.flags.map((flag) => flag.key) : null;
    print(name, httpStatus, keys, value?.errorCode ?? null, null, null);
    return httpResponse.headers.get("etag");
  };
  const who = { targetingKey: "u_1", plan: "pro" };
  const tag = await ask("bulk", who, null);
  await ask("bulk again", who, tag);
  await ask("bulk, another attribute", { ...who, plan: "free" }, tag);
  await ask("bulk, invalid context", { targetingKey: 7 }, null);
}

evaluations()
  .then(refusals)
  .then(bulk)
  .then(() => OpenFeature.close())
  .catch((error) => {
    console.error(error);
    process.exit(1);
  });
