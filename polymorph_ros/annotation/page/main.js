// Puts the page together and keeps it in step with the server.

import { Finder } from "/page/finder.js";
import { KEYS, listen } from "/page/keys.js";
import { Model, ask } from "/page/model.js";
import { Panel } from "/page/panel.js";
import { Strip } from "/page/strip.js";
import { Training } from "/page/training.js";
import { Viewer } from "/page/viewer.js";

const POLL_MS = 1200;
const byId = id => document.getElementById(id);

function tell(text, bad = false) {
  const notice = byId("notice");
  notice.textContent = text;
  notice.hidden = !text;
  notice.classList.toggle("bad", bad);
}

const model = new Model(tell);
const viewer = new Viewer(model);
const panel = new Panel(model, viewer);
const strip = new Strip(model, viewer, panel);
const finder = new Finder(model, panel);
const training = new Training(model);

function draw() {
  panel.draw();
  strip.draw();
  byId("clip").value = String(viewer.clip);
}

async function step(action) {
  const answer = await model.change(() => ({ action }));
  const run = answer?.runs[0];
  const inside = run && run[0] === viewer.clip && run[1] <= viewer.frame && viewer.frame <= run[2];
  if (run && !inside) viewer.show(run[0], run[1]);
}

function toggleSuggest() {
  viewer.suggesting = !viewer.suggesting;
  byId("suggest").checked = viewer.suggesting;
  draw();
}

function help() { byId("keys").showModal(); }

function connect() {
  const press = (id, action) => byId(id).addEventListener("click", event => {
    action();
    if (event.detail && !document.querySelector("dialog[open]")) byId("viewer").focus();
  });
  press("undo", () => step("undo"));
  press("redo", () => step("redo"));
  press("help", help);
  press("train", () => training.open());
  press("back", () => viewer.back());
  press("forward", () => viewer.forward());
  press("accept", () => panel.accept());
  press("zoom-in", () => strip.zoom(.5));
  press("zoom-out", () => strip.zoom(2));
  press("fill", () => strip.fill());
  press("mark-unknown", () => panel.markUnknown(panel.selected));
  press("settle", () => {
    const label = panel.selected;
    model.change(() => ({ action: "settle", label }));
  });
  press("rename", () => {
    byId("new-name").value = model.labels[panel.selected].name;
    byId("naming").showModal();
  });
  byId("naming").addEventListener("close", () => {
    const label = panel.selected, name = byId("new-name").value;
    if (byId("naming").returnValue && name.trim() !== model.labels[label].name) {
      model.change(() => ({ action: "rename_label", label, name }));
    }
  });
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.addEventListener("close", () => byId("viewer").focus());
  }
  byId("suggest").addEventListener("change", toggleSuggest);
  byId("order").addEventListener("change", event => {
    viewer.mode = event.target.value;
    byId("step-field").hidden = viewer.mode !== "time";
    byId("viewer").focus();
  });
  byId("step").addEventListener("change", event => {
    viewer.stepMs = Number(event.target.value);
    byId("viewer").focus();
  });
  byId("clip").addEventListener("change", event => {
    viewer.show(Number(event.target.value), 0);
    byId("viewer").focus();
  });
  addEventListener("beforeunload", event => { if (model.pending) event.preventDefault(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => strip.draw());
}

function showClips() {
  byId("clip").replaceChildren(...model.clips.map((clip, place) => new Option(clip.name, String(place))));
  byId("clip-field").hidden = model.clips.length < 2;
  byId("suggest-field").hidden = !model.bundle;
  byId("train").hidden = !model.trains;
  byId("key-rows").replaceChildren(...KEYS.map(([key, does]) => {
    const row = document.createElement("tr");
    const first = row.insertCell();
    const shown = document.createElement("kbd");
    shown.textContent = key;
    first.append(shown);
    row.insertCell().textContent = does;
    return row;
  }));
  if (model.gone.length) {
    const some = model.gone.slice(0, 3).join("; ");
    tell(`${model.gone.length} rows of the table name frames that are not there. They stay in it: ${some}` +
      (model.gone.length > 3 ? " …" : ""));
  }
}

let orderVersion = 0;

let toldError = false;

async function poll() {
  const progress = await ask("/api/progress");
  training.show(progress.training);
  if (progress.version !== model.version && !model.pending) await model.reload();
  if (progress.order !== orderVersion) {
    orderVersion = progress.order;
    await viewer.readOrder();
    await strip.readProposals();
  }
  if (progress.error && !toldError) {
    toldError = true;
    tell(`No suggestions: ${progress.error}`, true);
  }
}

async function keepInStep() {
  for (;;) {
    try { await poll(); } catch (error) { tell(error.message, true); }
    await new Promise(resolve => setTimeout(resolve, POLL_MS));
  }
}

async function begin() {
  history.replaceState(null, "", "/");
  await model.load();
  await viewer.readOrder();
  showClips();
  connect();
  let clipOfProposals = -1, versionOfProposals = -1;
  const proposals = () => {
    if (clipOfProposals === viewer.clip && versionOfProposals === model.version) return;
    [clipOfProposals, versionOfProposals] = [viewer.clip, model.version];
    strip.readProposals().catch(() => null);
  };
  viewer.listeners.push(draw, proposals);
  model.listeners.push(draw, proposals);
  listen({ model, viewer, panel, strip, finder, help, toggleSuggest,
    undo: () => step("undo"), redo: () => step("redo") });
  const [first] = viewer.coming(1);
  viewer.show(...(first ?? [0, 0]));
  byId("viewer").focus();
  document.body.dataset.ready = "yes";
  keepInStep();
}

begin().catch(error => tell(error.message, true));
