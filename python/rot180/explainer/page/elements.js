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

function byId(id) {
  return document.getElementById(id);
}

// A row of buttons of which one is pressed.
function choice(label, options, current, choose) {
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
