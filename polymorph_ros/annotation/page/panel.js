// The labels of the frame that is shown: their states, and what can be done to them.

import { ABSENT, PRESENT, UNKNOWN } from "/page/model.js";

const MARKS = { present: "✓", suggested: "?", absent: "–", unknown: "…", open: "" };
const SPOKEN = {
  present: "present", suggested: "suggested", absent: "absent", unknown: "cannot tell", open: "not said",
};
const SHOWN_SUGGESTIONS = 8;

export class Panel {
  constructor(model, viewer) {
    this.model = model;
    this.viewer = viewer;
    this.selected = -1;
    this.list = document.getElementById("labels");
    this.tell = model.tell;
  }

  get key() { return `${this.viewer.clip}-${this.viewer.frame}`; }

  // "present", "absent", "unknown" (cannot tell), "suggested", or "open" (nothing said yet).
  stateOf(label) {
    const { model, viewer } = this;
    const state = model.stateOf(viewer.clip, viewer.frame, label);
    if (state === PRESENT) return "present";
    if (state === ABSENT) return "absent";
    if (model.unsure.get(this.key)?.has(label)) return "unknown";
    if (model.isAccepted(viewer.clip, viewer.frame)) return "unknown";
    return this.suggests(label) ? "suggested" : "open";
  }

  suggests(label) {
    return this.viewer.suggesting && (this.viewer.look?.active?.has(label) ?? false);
  }

  // Those of the table, then what the bundle suggests beside them.
  shown() {
    const own = this.model.inTable();
    if (!this.viewer.suggesting) return own;
    const scores = this.viewer.look?.scores ?? new Map();
    const others = [...scores.keys()].filter(label => !this.model.labels[label].inTable);
    const active = others.filter(label => this.suggests(label));
    const rest = others.filter(label => !this.suggests(label));
    const room = Math.max(0, SHOWN_SUGGESTIONS - active.length);
    return [...own, ...active, ...rest.slice(0, room)];
  }

  draw() {
    const labels = this.shown();
    if (!labels.includes(this.selected)) this.selected = labels[0] ?? -1;
    this.list.replaceChildren(...labels.map((label, place) => this.item(label, place)));
    const more = document.getElementById("more");
    more.hidden = this.selected < 0;
    if (this.selected >= 0) this.drawMore();
    this.drawStatus();
  }

  item(label, place) {
    const { name, present, inTable } = this.model.labels[label];
    const state = this.stateOf(label);
    const button = document.createElement("button");
    button.dataset.state = state;
    button.dataset.label = label;
    button.classList.toggle("selected", label === this.selected);
    button.setAttribute("aria-pressed", { present: "true", suggested: "mixed" }[state] ?? "false");
    const score = this.viewer.suggesting ? this.viewer.look?.scores?.get(label) : undefined;
    const missing = this.model.enough - present;
    const need = inTable ? (missing > 0 ? `${present} of ${this.model.enough}` : `${present}`) : "";
    const key = place < 10 ? String((place + 1) % 10) : "";
    button.append(part("key", key), part("mark", MARKS[state]), part("name", name));
    if (score !== undefined) {
      button.querySelector(".name").append(part("score", score.toFixed(2)));
    }
    const counter = part("need", need);
    counter.classList.toggle("enough", inTable && missing <= 0);
    counter.title = inTable && missing > 0 ? `needs ${missing} more frames with it` : "";
    button.append(counter);
    button.setAttribute("aria-label",
      `${name}: ${SPOKEN[state]}${inTable ? `, in ${present} frames, needs ${Math.max(0, missing)} more` : ""}`);
    button.addEventListener("click", event => {
      this.selected = label;
      this.toggle(label);
      if (event.detail) document.getElementById("viewer").focus();
    });
    const line = document.createElement("li");
    line.append(button);
    return line;
  }

  drawMore() {
    const { name, present, absent } = this.model.labels[this.selected];
    const open = this.model.labelled - present - absent;
    document.getElementById("chosen").textContent = `${name}: present in ${present}, absent in ${absent}`;
    const settle = document.getElementById("settle");
    settle.disabled = open <= 0;
    settle.textContent = open > 0 ? `Absent in ${open} others` : "Known everywhere";
    settle.title = "Say that it is absent in every labelled frame in which it is unknown";
  }

  drawStatus() {
    const { model, viewer } = this;
    const clip = model.clips[viewer.clip];
    const seconds = clip.stamps.ms[viewer.frame] / 1000;
    document.getElementById("place").textContent =
      `${clip.name} · ${clock(seconds)} · frame ${viewer.frame + 1} of ${clip.frames}`;
    const status = document.getElementById("status");
    const has = model.has(viewer.clip, viewer.frame);
    const accepted = model.isAccepted(viewer.clip, viewer.frame);
    const unknown = has ? model.unknownIn(viewer.clip, viewer.frame).length : 0;
    const open = unknown ? `, ${unknown} unknown` : "";
    status.textContent = accepted ? `labelled${open}` : has ? `begun${open}` : "not labelled";
    status.classList.toggle("good", accepted);
    const marked = [...model.labels.keys()].filter(label => ["present", "suggested"].includes(this.stateOf(label)));
    const names = marked.map(label => model.labels[label].name).join(", ") || "none of the labels";
    document.getElementById("will").textContent = `${accepted ? "Present" : "Enter accepts"}: ${names}`;
    const looks = viewer.look;
    document.getElementById("unknown-scene").hidden = !(viewer.suggesting && looks?.unknownScene);
    const table = model.inTable();
    const poor = table.filter(label => model.labels[label].present < model.enough).length;
    const frames = model.labelled === 1 ? "1 frame labelled." : `${model.labelled} frames labelled.`;
    const advice = !table.length ? "Press / and type the first label." : poor
      ? `${poor} of ${table.length} labels still need examples.` : "Every label has enough examples.";
    document.getElementById("counts").textContent = `${frames} ${advice}`;
    for (const name of ["undo", "redo"]) {
      const button = document.getElementById(name);
      button.disabled = !model[name];
      button.title = model[name] ? `${name === "undo" ? "Undo" : "Redo"}: ${model[name]}` : "";
    }
  }

  select(direction) {
    const labels = this.shown();
    if (!labels.length) return;
    const place = labels.indexOf(this.selected) + direction;
    this.selected = labels[Math.max(0, Math.min(labels.length - 1, place))];
    this.draw();
    this.list.querySelector(".selected")?.scrollIntoView({ block: "nearest" });
  }

  toggle(label) {
    const { clip, frame } = this.viewer;
    const unsure = this.model.unsure.get(`${clip}-${frame}`);
    return this.model.change(() => {
      unsure?.delete(label);
      const now = clip === this.viewer.clip && frame === this.viewer.frame
        ? this.stateOf(label)
        : { [PRESENT]: "present", [ABSENT]: "absent", [UNKNOWN]: "open" }[this.model.stateOf(clip, frame, label)];
      const state = now === "present" || now === "suggested" ? "absent" : "present";
      return { action: "set", clip, frame, label, state };
    });
  }

  setPresent(label) {
    const { clip, frame } = this.viewer;
    this.model.unsure.get(this.key)?.delete(label);
    return this.model.change(() => ({ action: "set", clip, frame, label, state: "present" }));
  }

  markUnknown(label) {
    const { clip, frame } = this.viewer;
    if (label < 0) return;
    if (!this.model.unsure.has(this.key)) this.model.unsure.set(this.key, new Set());
    this.model.unsure.get(this.key).add(label);
    this.model.change(() => this.model.has(clip, frame)
      ? { action: "set", clip, frame, label, state: "unknown" } : null).then(() => this.draw());
  }

  markFrameUnknown() {
    const { clip, frame } = this.viewer;
    this.model.accepted.add(this.key);
    this.model.change(() => ({ action: "unknown", clip, frame }));
    this.viewer.forward();
  }

  accept() {
    const { clip, frame, suggesting, look } = this.viewer;
    const { model, key } = this;
    if (model.isAccepted(clip, frame) && !model.pending) { this.viewer.forward(); return; }
    const said = suggesting && look?.ready;
    const labels = [...model.labels.keys()].filter(label => said || model.labels[label].inTable);
    if (!labels.length) {
      this.tell("There are no labels yet: press / and type the first one.");
      return;
    }
    const active = said ? look.active : new Set();
    model.change(() => {
      const unsure = model.unsure.get(key) ?? new Set();
      const judged = [...model.labels.keys()].filter(label => said || model.labels[label].inTable);
      const state = label => model.stateOf(clip, frame, label);
      const present = judged.filter(label => !unsure.has(label) &&
        (state(label) === PRESENT || (state(label) === UNKNOWN && active.has(label))));
      model.accepted.add(key);
      return { action: "accept", clip, frame, present, unknown: [...unsure], judged };
    });
    this.viewer.forward();
  }
}

function part(kind, text) {
  const element = document.createElement("span");
  element.className = kind;
  element.textContent = text;
  return element;
}

export function clock(seconds) {
  const whole = Math.floor(seconds);
  const pad = number => String(number).padStart(2, "0");
  const tenths = Math.floor(10 * (seconds - whole));
  const minutes = `${pad(Math.floor(whole / 60) % 60)}:${pad(whole % 60)}.${tenths}`;
  return whole >= 3600 ? `${Math.floor(whole / 3600)}:${minutes}` : minutes;
}
