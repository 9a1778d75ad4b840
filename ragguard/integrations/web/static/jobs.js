// Jobs: asked for, watched while they run, cancelled. How far one is comes as server-sent events.

import { post, say } from "./said.js";

let stream = null;

function reload() {
  const there = { target: "#main", select: "#main", swap: "outerHTML" };
  return window.htmx.ajax("GET", "/jobs", there);
}

/** Show how far a stage is; a stage that is new gets a line. */
function show({ stage, done, total }) {
  const steps = document.querySelector("#steps");
  let line = [...steps.children].find((row) => row.dataset.stage === stage);
  if (!line) {
    line = document.querySelector("#step").content.firstElementChild.cloneNode(true);
    line.dataset.stage = stage;
    line.querySelector(".stage").textContent = stage;
    line.querySelector("progress").setAttribute("aria-label", stage);
    steps.append(line);
    document.querySelector("#job-told").textContent = stage;
  }
  const bar = line.querySelector("progress");
  [bar.max, bar.value] = [Math.max(total, 1), total ? done : 1];
  line.querySelector(".num").textContent = `${done.toLocaleString("en")} of ${total.toLocaleString("en")}`;
}

function follow() {
  const number = document.querySelector("#job")?.dataset.number;
  if (stream && stream.number === number) return;
  stream?.events.close();
  stream = null;
  if (!number) return;
  const events = new EventSource(`/api/v1/jobs/${number}/events`);
  stream = { number, events };
  events.addEventListener("progress", (event) => show(JSON.parse(event.data)));
  events.addEventListener("end", (event) => {
    events.close();
    const job = JSON.parse(event.data);
    say(`Job ${job.number} is ${job.state}.`, job.state === "failed");
    reload();
  });
  events.addEventListener("error", () => {
    if (events.readyState === EventSource.CLOSED) say("How far the job is cannot be told: load the page again.", true);
  });
}

async function ask(path, body, button) {
  button.disabled = true;
  try {
    await post(path, body);
    await reload();
  } catch (error) {
    say(error.message, true);
  }
  button.disabled = false;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("#jobs [data-job], #jobs [data-cancel]");
  if (!button) return;
  const { job, source, full, cancel } = button.dataset;
  if (cancel) ask(`/api/v1/jobs/${cancel}/cancel`, {}, button);
  else ask("/api/v1/jobs", { job, source: source ?? "", full: full === "true" }, button);
});

document.addEventListener("htmx:afterSettle", follow);
follow();
