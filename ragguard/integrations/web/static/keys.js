// A reviewer's key file, opened in this page: it goes nowhere, and what is kept cannot be read out.

/** The key that is open in this page, for whatever on it signs. */
export const held = { key: null };

const PKCS8 = "302e020100300506032b657004220420"; // RFC 8410: an Ed25519 seed follows
const MOST = 16384; // bytes of a key file

const hex = (bytes) => [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("");

function unhex(text, length) {
  if (typeof text !== "string" || !new RegExp(`^[0-9a-f]{${2 * length}}$`).test(text)) {
    throw new Error("This key file is damaged.");
  }
  return Uint8Array.from(text.match(/../g), (pair) => parseInt(pair, 16));
}

/** Key id: SHA-256 of the canonical TUF key object. */
export async function keyidOf(publicHex) {
  const text = `{"keytype":"ed25519","keyval":{"public":"${publicHex}"},"scheme":"ed25519"}`;
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))));
}

/** Whether this browser signs with Ed25519. */
export async function canSign() {
  try {
    await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]);
    return true;
  } catch {
    return false;
  }
}

/** Open a private key file: { keyid, principal, privateKey }, the last not extractable. */
export async function openKey(text) {
  if (text.length > MOST) throw new Error("This is no key file: it is too large.");
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    throw new Error("This is no key file of ragguard.");
  }
  if (body?.format === "ragguard-public-key-v1") {
    throw new Error("This is the public half. Open the private one, NAME.key.");
  }
  if (body?.format !== "ragguard-private-key-v1") {
    throw new Error("This is no private key file of ragguard.");
  }
  if ("secretbox" in body) {
    throw new Error(
      "This key is under a passphrase, which this page cannot open (Argon2id is not in browsers). " +
        "Decide on the command line, or start: ragguard web --key FILE --passphrase",
    );
  }
  const seed = unhex(body.seed, 32);
  const publicBytes = unhex(body.public, 32);
  const der = new Uint8Array(48);
  der.set(unhex(PKCS8, 16));
  der.set(seed, 16);
  let privateKey;
  let publicKey;
  try {
    privateKey = await crypto.subtle.importKey("pkcs8", der, "Ed25519", false, ["sign"]);
    publicKey = await crypto.subtle.importKey("raw", publicBytes, "Ed25519", false, ["verify"]);
  } catch {
    throw new Error("This browser cannot sign with Ed25519. Start: ragguard web --key FILE");
  } finally {
    der.fill(0);
    seed.fill(0);
  }
  const probe = crypto.getRandomValues(new Uint8Array(32));
  const signed = await crypto.subtle.sign("Ed25519", privateKey, probe);
  const keyid = await keyidOf(body.public);
  if (!(await crypto.subtle.verify("Ed25519", publicKey, signed, probe)) || body.keyid !== keyid) {
    throw new Error("This key file is damaged: its halves do not belong together.");
  }
  return { keyid, principal: String(body.principal), privateKey };
}
