// The page's state, and what changes it. The data, made by explanation.py:
// {version, dtype, stride, padding, dilation, groups, arrays: {x, w, b, dy, y, dw, db, dx},
//  limits: {cells, products, channels, step}, view, cell, mistake}

const PLAY_MILLISECONDS = 900;
const SPEAK_AFTER_MILLISECONDS = 300;

const app = startingState(JSON.parse(byId("data").textContent));

function startingState(data) {
  const arrays = Object.fromEntries(
    Object.entries(data.arrays).map(([name, { shape, values }]) => [
      name,
      { shape, values: values.map((value) => rounded(Number(value), data.dtype)) },
    ]),
  );
  const [height, width, channels] = arrays.x.shape;
  const [kernelHeight, kernelWidth, , filters] = arrays.w.shape;
  const { stride, padding, dilation, groups } = data;
  const settings = {
    size: [height, width],
    channels,
    kernel: [kernelHeight, kernelWidth],
    filters,
    stride,
    padding,
    dilation,
    groups,
  };
  const problem = { geometry: geometryOf(settings, data.limits), arrays };
  return {
    data,
    dtype: data.dtype,
    given: { settings, problem },
    settings,
    problem,
    fromKernels: true,
    view: data.view,
    direction: "forward",
    ...shownChannels(problem.geometry),
    mistake: MISTAKES.find(({ id }) => id === data.mistake) ?? null,
    spoilt: null,
    selection: data.cell ?? tellingCell("dx", problem),
    pinned: false,
    turned: false,
    timer: null,
  };
}

// The cell that has the most terms; of several, the one nearest to the middle.
function tellingCell(array, problem) {
  const shape = problem.geometry.shapes[array];
  const isImage = shape.length === 3;
  const distance = (index) =>
    isImage ? Math.hypot(index[0] - (shape[0] - 1) / 2, index[1] - (shape[1] - 1) / 2) : 0;
  let best = null;
  for (const index of indicesOf(shape)) {
    if (isImage && index[2] !== 0) continue;
    const candidate = { index, terms: TERMS[array](problem, index).length, distance: distance(index) };
    const isBetter =
      !best ||
      candidate.terms > best.terms ||
      (candidate.terms === best.terms && candidate.distance < best.distance);
    if (isBetter) best = candidate;
  }
  return { array, index: best.index };
}

// All channels side by side while they are few.
function shownChannels({ channels, filters, shapes }) {
  const few = channels <= 3 && filters <= 3 && sizeOf(shapes.x) <= 300;
  return few ? { channel: "all", filter: "all" } : { channel: 0, filter: 0 };
}

// --- what changes the state ---

function setGeometry(settings) {
  const given = app.given.settings;
  const isGiven = JSON.stringify(settings) === JSON.stringify(given);
  const problem = isGiven ? app.given.problem : problemOf(settings);
  const before = app.problem.geometry;
  Object.assign(app, { settings, problem, fromKernels: isGiven });
  const { channels, filters } = problem.geometry;
  if (before.channels !== channels || before.filters !== filters) {
    Object.assign(app, shownChannels(problem.geometry));
  }
  keepSelection();
  renderAll();
}

// The given arrays in other sizes, and what follows from them.
function problemOf(settings) {
  const geometry = geometryOf(settings, app.data.limits);
  const arrays = {};
  for (const name of ["x", "w", "b", "dy"]) {
    arrays[name] = reshaped(app.given.problem.arrays[name], geometry.shapes[name]);
  }
  const problem = { geometry, arrays };
  for (const name of RESULTS) arrays[name] = computeResult(problem, name, app.dtype);
  return problem;
}

// The selected cell, if it still exists and is in view; another one otherwise.
function keepSelection() {
  const { array, index } = app.selection;
  const shape = array === "spoilt" ? app.spoilt?.shape : app.problem.geometry.shapes[array];
  if (!shape || !index.every((i, axis) => i < shape[axis])) {
    app.selection = tellingCell(array === "spoilt" ? "dx" : array, app.problem);
  }
  const wanted = { full: "dx", matrix: app.direction === "backward" ? "dx" : "y" }[app.view];
  if (wanted && app.selection.array !== wanted && !(app.view === "matrix" && app.selection.array === "dw")) {
    app.selection = tellingCell(wanted, app.problem);
  }
  const at = app.selection.index;
  if (app.selection.array === "dx" && app.channel !== "all") at[2] = app.channel;
  if (app.selection.array === "y" && app.filter !== "all") at[2] = app.filter;
}

function computeSpoilt() {
  const { mistake, problem, dtype } = app;
  app.spoilt = mistake && applies(mistake, problem.geometry) ? spoiltArray(problem, mistake, dtype) : null;
  if (!app.spoilt && app.selection.array === "spoilt") app.selection = tellingCell("dx", problem);
}

function setView(view) {
  app.view = view;
  app.turned = false;
  keepSelection();
  renderAll();
  if (view === "full") requestAnimationFrame(() => requestAnimationFrame(() => setTurned(true)));
}

function setDirection(direction) {
  app.direction = direction;
  keepSelection();
  renderAll();
  focusChoice("Direction", direction);
}

function setMistake(id) {
  app.mistake = MISTAKES.find((mistake) => mistake.id === id) ?? null;
  // Where what it computes is shown.
  if (app.mistake && !(app.view === "full" && app.mistake.array === "dx")) app.view = "arrays";
  if (app.selection.array === "spoilt") app.selection = tellingCell("dx", app.problem);
  computeSpoilt();
  const first = app.spoilt?.wrong.indexOf(true) ?? -1;
  if (first >= 0 && app.view === "arrays") {
    app.selection = { array: "spoilt", index: indicesOf(app.spoilt.shape)[first] };
  }
  renderAll();
}

function setChannel(which, value) {
  app[which] = value;
  keepSelection();
  renderAll();
  focusChoice(which === "channel" ? "Channel" : "Filter", value);
}

function setTurned(turned) {
  app.turned = turned;
  for (const turning of document.querySelectorAll(".turning")) {
    turning.classList.toggle("turned", turned);
  }
  const button = byId("turn");
  if (!button) return;
  button.setAttribute("aria-pressed", String(turned));
  button.textContent = turned ? "↺ Turn the kernel back" : "↻ Turn the kernel by 180°";
}

function select(selection) {
  const { array, index } = app.selection;
  if (selection.array === array && String(selection.index) === String(index)) return;
  const channelChanges = app.view === "full" && selection.index[2] !== index[2];
  app.selection = selection;
  if (channelChanges) renderView();
  showSelection();
}

function step(by) {
  const cells = [...byId("view").querySelectorAll(`td[data-array="${app.selection.array}"]`)];
  if (!cells.length) return;
  const at = cells.indexOf(cellsOf(app.selection)[0]);
  select(selectionOf(cells[(at + by + cells.length) % cells.length]));
}

function setPlaying(playing) {
  clearInterval(app.timer);
  app.timer = playing ? setInterval(() => step(1), PLAY_MILLISECONDS) : null;
  const button = byId("play");
  button.textContent = playing ? "❚❚ Pause" : "▶ Play";
  button.setAttribute("aria-pressed", String(playing));
}

// --- what is shown ---

const VIEWS = {
  arrays: { title: "Arrays", make: arraysView },
  full: { title: "Full mode", make: fullModeView },
  matrix: { title: "Matrix", make: matrixView },
};

function renderAll() {
  computeSpoilt();
  byId("views").replaceChildren(
    choice("View", Object.entries(VIEWS).map(([view, { title }]) => [view, title]), app.view, setViewAndFocus),
  );
  byId("channels").replaceChildren(...channelChoices(app, setChannel));
  byId("summary").textContent = geometrySummary(app.settings);
  byId("reset").disabled = app.fromKernels;
  byId("why").textContent = mistakeSentence(app);
  byId("why").hidden = !app.mistake;
  byId("facts").textContent = factsText();
  renderView();
  showSelection();
}

function setViewAndFocus(view) {
  setView(view);
  focusChoice("View", view);
}

function renderView() {
  shownCells.clear();
  byId("view").replaceChildren(...VIEWS[app.view].make(app));
  byId("view").dataset.view = app.view;
  for (const scroll of document.querySelectorAll(".scroll")) {
    const reachable = scroll.querySelector("[tabindex='0']");
    if (!reachable && scroll.scrollWidth > scroll.clientWidth) scroll.tabIndex = 0;
  }
}

function showSelection() {
  clearLight();
  const { terms, kind } = explained(app);
  lightTerms(terms, highestNumber(app.problem.geometry, kind));
  for (const cell of cellsOf(app.selection)) {
    cell.classList.add("selected");
    cell.setAttribute("aria-selected", "true");
  }
  if (app.view === "full") placeWindow(app);
  if (app.view === "matrix") lightMatrix(app);
  byId("terms").replaceChildren(...termsPanel(app));
  byId("readout").textContent = app.pinned ? "Held: Esc lets go." : "";
  speak();
}

function speak() {
  clearTimeout(app.speaking);
  if (app.timer !== null) return;
  app.speaking = setTimeout(() => {
    byId("spoken").textContent = spokenTerms(app);
  }, SPEAK_AFTER_MILLISECONDS);
}

function factsText() {
  const { version, dtype } = app.data;
  const about = `rot180 ${version}, ${dtype}.`;
  if (!app.fromKernels) return `${about} Sizes or options were changed: this page computed the arrays.`;
  const cells = RESULTS.flatMap((name) =>
    indicesOf(app.problem.geometry.shapes[name]).map((index) => {
      const terms = TERMS[name](app.problem, index);
      return agrees(sumOf(terms), valueAt(app.problem.arrays[name], index), terms, dtype);
    }),
  );
  const wrong = cells.filter((right) => !right).length;
  return wrong
    ? `${about} ✗ In ${wrong} of ${cells.length} cells the terms do not sum to what the kernels computed.`
    : `${about} ✓ Computed by its kernels; in all ${cells.length} cells the terms listed here sum to the same.`;
}

// --- what the user does ---

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
    const name = array === "spoilt" ? `${cellName(app.mistake.array, index)}, mistaken` : cellName(array, index);
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
    byId("spoken").textContent = row.textContent;
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
    const path = input.dataset.setting.split(".").map((key) => (/^\d/.test(key) ? Number(key) : key));
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

listenToTheme();
listenToControls();
listenToView();
listenToTerms();
addEventListener("resize", () => app.view === "full" && placeWindow(app));
computeSpoilt();
setView(app.view);
