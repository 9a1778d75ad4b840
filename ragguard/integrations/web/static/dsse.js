// DSSE (https://github.com/secure-systems-lab/dsse) with Ed25519, as ragguard's own Python does it.
// docs/vectors/decision.json holds both to the same bytes.

const encoder = new TextEncoder();

/** Base64, standard alphabet, of bytes. */
export function toBase64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  }
  return btoa(text);
}

/** Bytes of standard base64. */
export function fromBase64(text) {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}

/** Pre-authentication encoding: the bytes that are signed. */
export function pae(payloadType, payload) {
  const kind = encoder.encode(payloadType);
  const head = encoder.encode(`DSSEv1 ${kind.length} `);
  const middle = encoder.encode(` ${payload.length} `);
  const made = new Uint8Array(head.length + kind.length + middle.length + payload.length);
  let at = 0;
  for (const part of [head, kind, middle, payload]) {
    made.set(part, at);
    at += part.length;
  }
  return made;
}

/** Envelope of a payload, signed with `key`: { keyid, privateKey }. */
export async function envelope(payloadType, payload, key) {
  const signed = await crypto.subtle.sign("Ed25519", key.privateKey, pae(payloadType, payload));
  return {
    payload: toBase64(payload),
    payloadType,
    signatures: [{ keyid: key.keyid, sig: toBase64(new Uint8Array(signed)) }],
  };
}

/** What of a decision's payload is not what is to be signed; an empty string when all of it is. */
export function differs(payload, meant) {
  let body;
  try {
    body = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload));
  } catch {
    return "it is no JSON";
  }
  const said = body.predicate ?? {};
  const subjects = Array.isArray(body.subject) ? body.subject : [];
  const checks = [
    ["type", body._type, "https://in-toto.io/Statement/v1"],
    ["predicate type", body.predicateType, "urn:ragguard:decision:v1"],
    ["number of subjects", subjects.length, 1],
    ["digest", subjects[0]?.digest?.sha256, meant.digest],
    ["case", said.case, meant.case],
    ["action", said.action, meant.action],
    ["reason", said.reason, meant.reason],
  ];
  const wrong = checks.find(([, found, expected]) => found !== expected);
  return wrong ? `its ${wrong[0]} is another` : "";
}
