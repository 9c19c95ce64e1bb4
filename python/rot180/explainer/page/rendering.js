// Drawing the page from the state: all of it, a view, or what the selected cell changes.

const SPEAK_AFTER_MILLISECONDS = 300;

const VIEWS = {
  arrays: { title: "Arrays", make: arraysView },
  full: { title: "Full mode", make: fullModeView },
  matrix: { title: "Matrix", make: matrixView },
};

function renderAll() {
  byId("views").replaceChildren(
    choice(
      "View",
      Object.entries(VIEWS).map(([view, { title }]) => [view, title]),
      app.view,
      setViewAndFocus,
    ),
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
  if (app.timer === null) speak(spokenTerms(app));
}

// Has a text read out, unless another one follows at once.
function speak(text) {
  clearTimeout(app.speaking);
  app.speaking = setTimeout(() => {
    byId("spoken").textContent = text;
  }, SPEAK_AFTER_MILLISECONDS);
}

function factsText() {
  const { version, dtype } = app.data;
  const about = `rot180 ${version}, ${dtype}.`;
  if (!app.fromKernels)
    return `${about} Sizes or options were changed: this page computed the arrays.`;
  const cells = RESULTS.flatMap((name) =>
    indicesOf(app.problem.geometry.shapes[name]).map((index) => {
      const terms = TERMS[name](app.problem, index);
      return agrees(sumOf(terms), valueAt(app.problem.arrays[name], index), terms, dtype);
    }),
  );
  const wrong = cells.filter((right) => !right).length;
  return wrong
    ? `${about} ✗ In ${wrong} of ${cells.length} cells the terms do not sum to what it computed.`
    : `${about} ✓ It computed these arrays; in all ${cells.length} cells the terms listed here sum to the same.`;
}
