// The face detector that the visitor has chosen, for all that is sent from here; kept in this browser.

const NAME = "faces-detector";
const select = document.querySelector("#detector"); // not on every page that uploads

export function setUpDetector() {
  let kept = null;
  try { kept = localStorage.getItem(NAME); } catch { /* then for this visit only */ }
  // One that the service no longer has would be refused.
  if ([...select.options].some(({ value }) => value === kept)) select.value = kept;
  select.addEventListener("change", () => {
    try {
      if (select.value) localStorage.setItem(NAME, select.value);
      else localStorage.removeItem(NAME);
    } catch { /* as above */ }
  });
}

/** Name the chosen detector in a form; none if the service is to choose. */
export function nameDetector(form) {
  if (select?.value) form.append("detector", select.value);
  return form;
}
