// Making elements: text is always set as text, never as markup.

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "style") Object.entries(value).forEach((pair) => made.style.setProperty(...pair));
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

// Puts the focus back on a choice that was drawn anew.
function focusChoice(label, value) {
  const names = [`${label}:${value}`, label].map((name) => `[data-choice="${name}"]`);
  document.querySelector(names.join(", ")).focus();
}

function byId(id) {
  return document.getElementById(id);
}

const MOST_BUTTONS = 9;

// A row of buttons of which one is pressed; a list to choose from where there would be many.
function choice(label, options, current, choose) {
  if (options.length > MOST_BUTTONS) {
    const list = element(
      "select",
      { "data-choice": label, onchange: () => choose(options[list.selectedIndex][0]) },
      options.map(([value, text]) => element("option", { selected: value === current }, text)),
    );
    return element(
      "label",
      { class: "choice" },
      element("span", { class: "choice-label" }, label),
      list,
    );
  }
  return element(
    "div",
    { class: "choice", role: "group", "aria-label": label },
    element("span", { class: "choice-label", "aria-hidden": "true" }, label),
    options.map(([value, text]) =>
      element(
        "button",
        {
          type: "button",
          "aria-pressed": String(value === current),
          "data-choice": `${label}:${value}`,
          onclick: () => choose(value),
        },
        text,
      ),
    ),
  );
}
