// What the user does: pointing, keys, the list of terms, the controls, light and dark.

function selectionOf(cell) {
  return { array: cell.dataset.array, index: cell.dataset.index.split(",").map(Number) };
}

function isResult(cell) {
  const { array } = cell.dataset;
  if (app.view === "full") return array === "dx";
  if (app.view === "matrix") return array === (app.direction === "backward" ? "dx" : "y");
  return array === "spoilt" || RESULTS.includes(array);
}

function visit(cell) {
  if (isResult(cell)) {
    setPlaying(false);
    select(selectionOf(cell));
  } else {
    const { array, index } = selectionOf(cell);
    const value = valueAt(array === "spoilt" ? app.spoilt : app.problem.arrays[array], index);
    const name =
      array === "spoilt"
        ? `${cellName(app.mistake.array, index)}, mistaken`
        : cellName(array, index);
    byId("readout").textContent = `${name} = ${fullNumber(value, app.dtype)}`;
  }
}

function setPinned(pinned) {
  app.pinned = pinned;
  showSelection();
}

function listenToView() {
  const view = byId("view");
  const valueUnder = (event) => event.target.closest?.("td[data-array]");
  let pointer = null;
  view.addEventListener("mousemove", (event) => {
    const cell = valueUnder(event);
    // A layout that changes under a pointer at rest is no pointing.
    const place = `${event.screenX} ${event.screenY}`;
    if (place === pointer) return;
    pointer = place;
    if (cell && !(app.pinned && isResult(cell))) visit(cell);
  });
  view.addEventListener("focusin", (event) => {
    const cell = valueUnder(event);
    if (cell) visit(cell);
  });
  view.addEventListener("click", (event) => {
    if (event.target.closest("#turn")) {
      setTurned(!app.turned);
      return;
    }
    const cell = valueUnder(event);
    if (!cell || !isResult(cell)) return;
    select(selectionOf(cell));
    setPinned(true);
  });
  view.addEventListener("keydown", (event) => {
    const cell = event.target.closest("td[tabindex]");
    if (!cell) return;
    if (walkGrid(cell, event)) event.preventDefault();
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      if (isResult(cell)) setPinned(!app.pinned);
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && app.pinned) setPinned(false);
  });
}

// Pointing at a term, or walking through the list, shows which two cells it multiplies.
function listenToTerms() {
  const panel = byId("terms");
  const show = (row) => {
    for (const old of document.querySelectorAll(".pair")) old.classList.remove("pair");
    if (!row) return;
    row.classList.add("pair");
    const term = explained(app).terms[Number(row.dataset.term)];
    for (const factor of term.factors) {
      for (const cell of cellsOf(factor)) cell.classList.add("pair");
    }
  };
  panel.addEventListener("mouseover", (event) => show(event.target.closest("li[data-term]")));
  panel.addEventListener("mouseleave", () => show(null));
  panel.addEventListener("focusout", () => show(null));
  panel.addEventListener("keydown", (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const rows = [...panel.querySelectorAll("li[data-term]")];
    const at = rows.findIndex((row) => row.classList.contains("pair"));
    const row = rows[Math.min(Math.max(at + by, 0), rows.length - 1)];
    show(row);
    row.scrollIntoView({ block: "nearest" });
    speak(spokenTerm(explained(app).terms[Number(row.dataset.term)]));
  });
}

function listenToControls() {
  const problem = byId("problem");
  const changeSetting = (path, value, input, hint) => {
    const refuse = (message) => {
      input.setAttribute("aria-invalid", "true");
      problem.textContent = message;
    };
    if (value === null) return refuse(hint);
    // What the fields show, not the last settings that fitted: one change may mend another.
    const wanted = readFields();
    if (!wanted) return refuse(problem.textContent || hint);
    try {
      setGeometry(wanted);
    } catch (error) {
      return refuse(error.message);
    }
    problem.textContent = "";
    for (const field of byId("fields").querySelectorAll("[aria-invalid]")) {
      field.removeAttribute("aria-invalid");
    }
    return undefined;
  };
  byId("fields").replaceChildren(...geometryFields(app, changeSetting));
  byId("fields").addEventListener("submit", (event) => event.preventDefault());
  byId("reset").addEventListener("click", () => {
    setGeometry(app.given.settings);
    problem.textContent = "";
    byId("fields").replaceChildren(...geometryFields(app, changeSetting));
  });
  byId("mistake").replaceChildren(...mistakeOptions(app));
  byId("mistake").addEventListener("change", (event) => setMistake(event.target.value));
  byId("back").addEventListener("click", () => {
    setPlaying(false);
    step(-1);
  });
  byId("step").addEventListener("click", () => {
    setPlaying(false);
    step(1);
  });
  byId("play").addEventListener("click", () => setPlaying(app.timer === null));
}

// The settings in the fields, or null if one of them holds no number.
function readFields() {
  let settings = app.settings;
  for (const input of byId("fields").querySelectorAll("input")) {
    const value = Number(input.value);
    const [low, high] = [Number(input.min), Number(input.max)];
    if (input.value === "" || !Number.isInteger(value) || value < low || value > high) return null;
    const path = input.dataset.setting
      .split(".")
      .map((key) => (/^\d/.test(key) ? Number(key) : key));
    settings = withSetting(settings, path, value);
  }
  return settings;
}

function listenToTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const show = (isDark) => {
    document.documentElement.dataset.theme = isDark ? "dark" : "light";
  };
  show(dark.matches);
  dark.addEventListener("change", () => show(dark.matches));
  byId("theme").addEventListener("click", () =>
    show(document.documentElement.dataset.theme === "light"),
  );
}
