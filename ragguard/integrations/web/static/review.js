// The reviewer's desk: the keyboard, the tray of decisions, and signing. Texts of documents are
// never put into the page from here; what is said is put in as text.

import { envelope, fromBase64, differs } from "./dsse.js";
import { canSign, held, openKey } from "./keys.js";
import { post, say } from "./said.js";

const { role, signing } = document.body.dataset;
const done = { release: "released", reject: "rejected" };
const reasons = { release: "", reject: "" }; // the last one given, offered again
const tray = []; // { action, reason, group, label, members: [{ case, digest }], alone }
const closed = new Map(); // case number to what became of it, until the list is read again
let asking = null; // what the dialog is about
let busy = false;
let coming = ""; // case that was asked for and is not shown yet

const expect = (what) => {
  coming = what;
  document.body.setAttribute("aria-busy", String(Boolean(what)));
};
const $ = (selector) => document.querySelector(selector);
const article = () => $("article#case[data-case]");
const text = (node, said) => {
  if (node) node.textContent = said;
};

// --- the key --------------------------------------------------------------------------------------

async function chooseKey(file) {
  try {
    if (!(await canSign())) {
      throw new Error("This browser cannot sign with Ed25519. Start: ragguard web --key FILE");
    }
    held.key = await openKey(await file.text());
    say(`The key of ${held.key.principal} is open in this page. It is gone when the page is.`);
  } catch (error) {
    held.key = null;
    say(error.message, true);
  }
  render();
}

// --- the tray -------------------------------------------------------------------------------------

function stagedFor(number) {
  return tray.find((item) => item.members.some((member) => member.case === number));
}

function about() {
  const group = $("#group");
  if (group) {
    const members = [...document.querySelectorAll("#members li")].map((row) => ({
      case: Number(row.dataset.case),
      digest: row.dataset.digest,
    }));
    return { group: group.dataset.group, label: `all ${members.length} cases of the group`, members };
  }
  const shown = article();
  if (!shown || shown.dataset.state !== "open") return null;
  const number = Number(shown.dataset.case);
  if (closed.has(number)) return null;
  return {
    group: "",
    label: $("#case-title").textContent,
    members: [{ case: number, digest: shown.dataset.digest }],
    alone: shown.dataset.kind !== "document",
  };
}

function ask(action) {
  if (role !== "reviewer" || coming) return; // what is decided is what is shown
  const what = about();
  if (!what) return;
  asking = { ...what, action };
  text($("#decide-title"), action === "release" ? "Release" : "Reject");
  text($("#decide-what"), what.label);
  $("#decide").className = action;
  const field = $("#reason");
  field.value = reasons[action];
  $("#decide").showModal();
  field.focus();
  field.select();
}

function stage() {
  const reason = $("#reason").value.trim();
  if (!asking || !reason) return;
  reasons[asking.action] = reason;
  const taken = new Set(asking.members.map((member) => member.case));
  for (let at = tray.length - 1; at >= 0; at -= 1) {
    if (tray[at].members.some((member) => taken.has(member.case))) tray.splice(at, 1);
  }
  tray.push({ ...asking, reason });
  const grouped = Boolean(asking.group);
  asking = null;
  $("#decide").close();
  render();
  if (grouped) $('#views a[href="/groups"]').click();
  else go("next");
}

function undo() {
  const last = tray.pop();
  if (!last) return;
  say(`Taken back: ${last.label}`);
  render();
  const link = last.group ? null : itemOf(last.members[0].case);
  if (link) link.click();
}

/** What goes together: a group, a removal or a question alone, single cases by action and reason. */
function batches() {
  const made = new Map();
  tray.forEach((item, at) => {
    const name = item.group || item.alone ? `#${at}` : `${item.action} ${item.reason}`;
    if (!made.has(name)) made.set(name, []);
    made.get(name).push(item);
  });
  return [...made.values()];
}

async function commitBatch(items) {
  const { action, reason, group } = items[0];
  const members = items.flatMap((item) => item.members);
  const cases = members.map((member) => member.case);
  if (signing === "process") return post("/api/v1/decisions", { action, reason, cases, group });
  const asked = await post("/api/v1/decisions/draft", { action, reason, cases, group });
  const envelopes = [];
  for (const [at, member] of members.entries()) {
    const payload = fromBase64(asked.statements[at]?.payload ?? "");
    const wrong = differs(payload, { ...member, action, reason });
    if (wrong) throw new Error(`Not signed: the server asks for another decision (${wrong}).`);
    envelopes.push(await envelope(asked.payload_type, payload, held.key));
  }
  return post("/api/v1/decisions", { cases, envelopes, group });
}

async function commit() {
  if (!tray.length || busy) return;
  if (signing === "browser" && !held.key) {
    say("Open your key first: decisions are signed in this page.", true);
    $("#key-file")?.click();
    return;
  }
  busy = true;
  const commits = [];
  let count = 0;
  let opinions = 0;
  try {
    for (const items of batches()) {
      const answer = await commitBatch(items);
      for (const item of items) {
        tray.splice(tray.indexOf(item), 1);
        for (const member of item.members) closed.set(member.case, done[item.action]);
      }
      for (const number of answer.waiting) closed.set(number, "opinion given");
      if (answer.commit !== null) commits.push(answer.commit);
      count += answer.cases.length;
      opinions += answer.waiting.length;
      render();
    }
  } catch (error) {
    drop(error.conflicts ?? []);
    say(error.message, true);
    busy = false;
    render();
    refresh();
    return;
  }
  busy = false;
  const numbers = commits.join(", ");
  const told = [];
  if (count) told.push(`${count} ${count === 1 ? "case" : "cases"} decided, commit ${numbers}.`);
  if (opinions) told.push(`${opinions} ${opinions === 1 ? "opinion" : "opinions"} given: another reviewer has to agree.`);
  say(told.join(" "));
  render();
  refresh();
}

/** Take what others closed out of the tray. */
function drop(conflicts) {
  for (const conflict of conflicts) {
    closed.set(conflict.case, conflict.state);
    for (let at = tray.length - 1; at >= 0; at -= 1) {
      if (tray[at].members.some((member) => member.case === conflict.case)) tray.splice(at, 1);
    }
  }
}

/** Read the list again, from the server. */
function refresh() {
  const filters = $("#queue .filters");
  if (!filters) return;
  const asked = new URLSearchParams(new FormData(filters));
  window.htmx.ajax("GET", `/?${asked}`, { target: "#queue", swap: "outerHTML" });
}

// --- going about ----------------------------------------------------------------------------------

const itemOf = (number) => $(`.items li[data-case="${number}"] a.item`);

function go(where) {
  const shown = article();
  if (!shown) return;
  const items = [...document.querySelectorAll(".items li[data-case] a.item")];
  const from = coming || shown.dataset.case;
  const at = items.findIndex((item) => item.closest("li").dataset.case === from);
  const near = at < 0 ? null : items[at + (where === "next" ? 1 : -1)];
  const link = near ?? $(`#go-${where}`);
  if (link) link.click();
  else say(where === "next" ? "That was the last one. Press c to commit." : "That was the first one.");
}

// --- the page as it should look now ---------------------------------------------------------------

function render() {
  const button = $("#key-button");
  if (button) {
    text(button, held.key ? `${held.key.principal}: key open` : "Open key…");
    button.classList.toggle("good", Boolean(held.key));
  }
  $("#tray").hidden = tray.length === 0;
  const counts = { release: 0, reject: 0 };
  for (const item of tray) counts[item.action] += item.members.length;
  text($("#tray-count"), `${counts.release + counts.reject} in the tray`);
  text(
    $("#tray-what"),
    Object.entries(counts)
      .filter(([, n]) => n)
      .map(([action, n]) => `${n} to ${action}`)
      .join(", "),
  );
  $("#commit").disabled = busy;
  const shown = article();
  for (const row of document.querySelectorAll(".items li[data-case]")) {
    const number = Number(row.dataset.case);
    const state = closed.get(number) ?? (stagedFor(number)?.action ?? "");
    row.dataset.mark = state;
    if (shown && row.dataset.case === shown.dataset.case) {
      row.setAttribute("aria-current", "true");
      row.scrollIntoView({ block: "nearest" });
    } else {
      row.removeAttribute("aria-current");
    }
  }
  const mark = $("#group .staged") ?? $("#case .staged");
  const what = about();
  const number = what?.members[0].case ?? Number(shown?.dataset.case);
  const staged = stagedFor(number);
  const became = closed.get(number);
  if (mark) {
    mark.hidden = !staged && !became;
    text(mark, became ? `${became}` : staged ? `in the tray: ${staged.action}` : "");
  }
}

const actions = {
  j: () => go("next"),
  k: () => go("previous"),
  s: () => go("next"),
  r: () => ask("release"),
  x: () => ask("reject"),
  u: undo,
  c: commit,
  g: () => $("#case a.group")?.click(),
  o: () => $("#key-file")?.click(),
  "?": () => $("#help").showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.target.closest?.("#decide")) {
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      stage();
    }
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.closest?.("input, textarea, select")) return;
  const action = actions[event.key];
  if (action) {
    event.preventDefault();
    action();
  }
});

document.addEventListener("click", (event) => {
  const item = event.target.closest?.("a.item[hx-get], #go-next, #go-previous");
  if (item) expect(item.closest("li")?.dataset.case ?? "another");
  const act = event.target.closest?.("[data-act]")?.dataset.act;
  if (act === "skip") go("next");
  else if (act) ask(act);
  else if (event.target.closest?.("#key-button")) $("#key-file").click();
  else if (event.target.closest?.("#help-button")) $("#help").showModal();
  else if (event.target.closest?.("#undo")) undo();
  else if (event.target.closest?.("#commit")) commit();
  else if (event.target.closest?.("#decide-cancel")) $("#decide").close();
});

document.addEventListener("submit", (event) => {
  if (event.target.id === "decide-form") {
    event.preventDefault();
    stage();
  }
});

document.addEventListener("change", (event) => {
  if (event.target.id === "key-file" && event.target.files.length) {
    chooseKey(event.target.files[0]);
    event.target.value = "";
  }
});

document.addEventListener("htmx:afterSwap", (event) => {
  const id = event.detail.target?.id;
  const there = coming === "another" || coming === article()?.dataset.case;
  if (id === "main" || (id === "case" && there)) expect("");
});

document.addEventListener("htmx:afterSettle", (event) => {
  if (event.detail.target?.id === "case") {
    $("#main").classList.add("one");
    window.scrollTo(0, 0);
    article()?.focus({ preventScroll: true });
  }
  render();
});

document.addEventListener("htmx:responseError", (event) => {
  expect("");
  let said = "";
  try {
    said = JSON.parse(event.detail.xhr.responseText).error;
  } catch {
    said = `The server answered ${event.detail.xhr.status}.`;
  }
  say(said, true);
});

document.addEventListener("htmx:sendError", () => {
  expect("");
  say("The server does not answer.", true);
});

window.addEventListener("beforeunload", (event) => {
  if (tray.length) event.preventDefault();
});

render();
document.body.dataset.ready = "";
