// Grids of numbers: tables that the arrow keys walk through, one tab stop each.

// All cells on the page that show one element of an array, by "dx[1,2,0]".
const shownCells = new Map();

function cellName(array, index) {
  return `${array}[${index.join(",")}]`;
}

function cellsOf({ array, index }) {
  return shownCells.get(cellName(array, index)) ?? [];
}

// A cell that shows an element of an array and can be pointed at.
function valueCell(array, index, value, { largest, dtype, kind = "", label, role = "gridcell" }) {
  const name = cellName(array, index);
  const tint = tintOf(value, largest);
  const made = element(
    "td",
    {
      role,
      tabindex: -1,
      class: `value ${kind} ${tint < 0 ? "negative" : "positive"}`,
      style: { "--size": `${Math.round(Math.abs(tint) * 100)}%` },
      "data-array": array,
      "data-index": index.join(","),
      "data-value": String(value),
      "aria-label": `${label ?? name} = ${fullNumber(value, dtype)}${kind ? `, ${kind}` : ""}`,
    },
    element("span", {}, shortNumber(value)),
  );
  if (!shownCells.has(name)) shownCells.set(name, []);
  shownCells.get(name).push(made);
  return made;
}

// A cell that belongs to no array: a zero of the padding, of the border, in between.
function blankCell(text, kind, label, role = "gridcell") {
  return element(
    "td",
    { role, class: `blank ${kind}`, "aria-label": label },
    element("span", {}, text),
  );
}

// A table with a header for each row and column; `cell(row, column)` makes the cells.
function numberTable({ label, rows, columns, cell, role = "grid", corner = "" }) {
  const head = element(
    "tr",
    {},
    element("th", { class: "corner" }, corner),
    columns.map((text) => element("th", { scope: "col" }, text)),
  );
  const body = rows.map((text, row) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, text),
      columns.map((_, column) => cell(row, column)),
    ),
  );
  const table = element(
    "table",
    { role, "aria-label": label },
    element("thead", {}, head),
    element("tbody", {}, body),
  );
  table.querySelector("td[tabindex]")?.setAttribute("tabindex", "0");
  return table;
}

// The grid of one slice of an array: `at(row, column)` is the index of an element.
function sliceGrid({ app, name, values, shape, at, label, rows, columns, kindOf, outside }) {
  const largest = largestOf(values);
  return numberTable({
    label,
    rows: rows.map(String),
    columns: columns.map(String),
    cell: (row, column) => {
      const [r, s] = [rows[row], columns[column]];
      const blank = outside?.(r, s);
      if (blank) return blankCell(...blank);
      const index = at(r, s);
      return valueCell(name, index, values[flatIndex(shape, index)], {
        largest,
        dtype: app.dtype,
        kind: kindOf?.(r, s, index) ?? "",
        label: name === "spoilt" ? cellName(`${app.mistake.array} with the mistake`, index) : null,
      });
    },
  });
}

const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

// Moves the focus within a grid; returns whether the key was one that does.
function walkGrid(cell, event) {
  const table = cell.closest("table");
  const stops = [...table.querySelectorAll("td[tabindex]")];
  let target;
  if (event.key in ARROWS) {
    const [down, right] = ARROWS[event.key];
    let [row, column] = [cell.parentNode.rowIndex, cell.cellIndex];
    do {
      row += down;
      column += right;
      target = table.rows[row]?.cells[column];
    } while (target && !target.hasAttribute("tabindex"));
    target ??= cell;
  } else if (event.key === "Home" || event.key === "End") {
    const inRow = stops.filter((stop) => event.ctrlKey || stop.parentNode === cell.parentNode);
    target = event.key === "Home" ? inRow[0] : inRow.at(-1);
  } else {
    return false;
  }
  if (target.hasAttribute("tabindex")) focusCell(target);
  return true;
}

function focusCell(cell) {
  for (const stop of cell.closest("table").querySelectorAll("td[tabindex='0']")) {
    stop.setAttribute("tabindex", "-1");
  }
  cell.setAttribute("tabindex", "0");
  cell.focus();
}

// Lights every cell of the terms with its number and the number's colour.
function lightTerms(terms, count) {
  const numbers = new Map();
  for (const { number, factors } of terms) {
    for (const factor of factors) {
      const name = cellName(factor.array, factor.index);
      if (!numbers.has(name)) numbers.set(name, new Set());
      if (number !== null) numbers.get(name).add(number);
    }
  }
  for (const [name, marks] of numbers) {
    const [first] = marks;
    const colour = first === undefined ? null : markColour(first, count);
    for (const cell of shownCells.get(name) ?? []) {
      cell.classList.add("lit");
      if (!colour) continue;
      cell.style.setProperty("--mark", colour.background);
      cell.style.setProperty("--mark-text", colour.text);
      cell.dataset.mark = marks.size > 2 ? `${first}…` : [...marks].join(" ");
    }
  }
}

function clearLight() {
  for (const cell of document.querySelectorAll("td.lit, td.selected")) {
    cell.classList.remove("lit", "selected");
    cell.removeAttribute("aria-selected");
    delete cell.dataset.mark;
  }
}
