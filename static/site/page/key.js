// The API key: in this tab only, and in no address.

const NAME = "faces-key";
let held = null;
try { held = sessionStorage.getItem(NAME); } catch { /* then for this page only */ }

export const key = () => held;

export function use(text) {
  held = text;
  try {
    if (text) sessionStorage.setItem(NAME, text);
    else sessionStorage.removeItem(NAME);
  } catch { /* as above */ }
}

export const headers = () => (held ? { "X-Api-Key": held } : {});
