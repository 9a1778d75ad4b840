// What is said to whoever sits before the page, and what is asked of the server.

const { csrf } = document.body.dataset;

export function say(said, bad = false) {
  const line = document.createElement("p");
  line.className = bad ? "bad" : "good";
  line.textContent = said;
  document.querySelector("#said").replaceChildren(line);
  if (!bad) setTimeout(() => line.remove(), 6000);
}

export async function post(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json", "x-csrf-token": csrf },
    body: JSON.stringify(body),
  });
  const said = await answer.json().catch(() => ({ error: `answer ${answer.status}`, hint: "" }));
  if (answer.ok) return said;
  const error = new Error([said.error, said.hint].filter(Boolean).join(". "));
  error.conflicts = said.conflicts ?? [];
  throw error;
}
