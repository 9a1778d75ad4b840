// A word on a document of a spot check, signed in the page as decisions are.

import { envelope, fromBase64 } from "./dsse.js";
import { held } from "./keys.js";
import { post, say } from "./said.js";

const { signing } = document.body.dataset;
let busy = false;

/** What of a payload is not what is to be signed; an empty string when all of it is. */
function differs(payload, meant) {
  const body = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload));
  const said = body.predicate ?? {};
  const subjects = Array.isArray(body.subject) ? body.subject : [];
  const checks = [
    ["type", body._type, "https://in-toto.io/Statement/v1"],
    ["predicate type", body.predicateType, "urn:ragguard:spot-check:v1"],
    ["number of subjects", subjects.length, 1],
    ["digest", subjects[0]?.digest?.sha256, meant.digest],
    ["item", said.item, meant.item],
    ["word", said.word, meant.word],
    ["reason", said.reason, meant.reason],
  ];
  return checks.find(([, found, expected]) => found !== expected)?.[0] ?? "";
}

async function give(form, word) {
  const { item, digest } = form.dataset;
  const reason = form.querySelector("textarea").value.trim();
  if (!reason) {
    form.querySelector("textarea").focus();
    return say("Say why, in your words.", true);
  }
  if (signing === "browser" && !held.key) {
    say("Open your key first: words are signed in this page.", true);
    return document.querySelector("#key-file")?.click();
  }
  busy = true;
  try {
    let body = { word, reason };
    if (signing === "browser") {
      const asked = await post(`/api/v1/spot-checks/${item}/draft`, body);
      const payload = fromBase64(asked.payload);
      const wrong = differs(payload, { item, digest, word, reason });
      if (wrong) throw new Error(`Not signed: the server asks for another statement (${wrong}).`);
      body = { envelope: await envelope(asked.payload_type, payload, held.key) };
    }
    const answer = await post(`/api/v1/spot-checks/${item}`, body);
    const out = answer.commit === null ? "" : ` It is taken out of the index, commit ${answer.commit}.`;
    say(`${item}: ${word}. It was ${answer.was}.${out}`);
    const there = { target: "#main", select: "#main", swap: "outerHTML" };
    window.htmx.ajax("GET", window.location.pathname, there);
  } catch (error) {
    say(error.message, true);
  }
  busy = false;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("#spot [data-word]");
  if (button && !busy) give(button.closest("form"), button.dataset.word);
});

document.addEventListener("submit", (event) => {
  if (event.target.id === "spot-form") event.preventDefault();
});
