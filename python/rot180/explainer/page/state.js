// What the page knows (`app`), and what changes it. The data, made by explanation.py:
// {version, dtype, stride, padding, dilation, groups, arrays: {x, w, b, y, dy, dw, db, dx},
//  limits: {cells, products, channels, step}, view, cell, mistake}

const PLAY_MILLISECONDS = 900;

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
    const candidate = {
      index,
      terms: TERMS[array](problem, index).length,
      distance: distance(index),
    };
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
  computeSpoilt();
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
  if (
    wanted &&
    app.selection.array !== wanted &&
    !(app.view === "matrix" && app.selection.array === "dw")
  ) {
    app.selection = tellingCell(wanted, app.problem);
  }
  const at = app.selection.index;
  if (app.selection.array === "dx" && app.channel !== "all") at[2] = app.channel;
  if (app.selection.array === "y" && app.filter !== "all") at[2] = app.filter;
}

function computeSpoilt() {
  const { mistake, problem, dtype } = app;
  app.spoilt =
    mistake && applies(mistake, problem.geometry) ? spoiltArray(problem, mistake, dtype) : null;
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
  renderAll();
  const wrong = byId("view").querySelector("td.wrong");
  if (wrong && app.view === "arrays") select(selectionOf(wrong));
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
