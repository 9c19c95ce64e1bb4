// Starts the page.

const app = startingState(JSON.parse(byId("data").textContent));

listenToTheme();
listenToControls();
listenToView();
listenToTerms();
addEventListener("resize", () => app.view === "full" && placeWindow(app));
computeSpoilt();
setView(app.view);
