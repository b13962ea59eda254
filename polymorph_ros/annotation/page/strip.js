// The time strip: small pictures, and for each label a row of what is known of it.

import { ABSENT, PRESENT, ask } from "/page/model.js";
import { clock } from "/page/panel.js";

const THUMB_PX = 92;
const LEAST_FRAMES = 12;

export class Strip {
  constructor(model, viewer, panel) {
    Object.assign(this, { model, viewer, panel });
    this.thumbs = document.getElementById("thumbs");
    this.rows = document.getElementById("rows");
    this.first = 0;
    this.count = 0;          // frames that the strip shows
    this.clip = -1;
    this.proposals = [];
    this.mark = null;        // the frame at which a span begins
    new ResizeObserver(() => this.draw()).observe(document.getElementById("track"));
  }

  get frames() { return this.model.clips[this.viewer.clip].frames; }

  zoom(factor) {
    const count = Math.round(this.count * factor);
    this.count = Math.max(Math.min(LEAST_FRAMES, this.frames), Math.min(this.frames, count));
    this.first = this.viewer.frame - Math.floor(this.count / 2);
    this.draw();
  }

  follow() {
    if (this.clip !== this.viewer.clip) {
      this.clip = this.viewer.clip;
      this.mark = null;
      this.first = 0;
      this.count = this.frames;
    }
    const { frame } = this.viewer;
    if (frame < this.first || frame >= this.first + this.count) {
      this.first = frame - Math.floor(this.count / 2);
    }
    this.first = Math.max(0, Math.min(this.frames - this.count, this.first));
  }

  draw() {
    if (!this.model.clips) return;
    this.follow();
    const stamps = this.model.clips[this.clip].stamps.ms;
    const last = this.first + this.count - 1;
    document.getElementById("window").textContent =
      `${clock(stamps[this.first] / 1000)} – ${clock(stamps[last] / 1000)}`;
    this.drawThumbs();
    this.drawRows();
    this.drawHead();
    const gap = this.gap();
    const fill = document.getElementById("fill");
    fill.hidden = !gap;
    if (gap) fill.firstChild.textContent = `Fill ${gap[1] - gap[0] - 1} frames between `;
    document.getElementById("span-hint").textContent =
      this.mark === null ? "" : `span from frame ${this.mark + 1}: move on, then press ]`;
  }

  drawThumbs() {
    const room = Math.max(1, Math.floor(this.thumbs.clientWidth / THUMB_PX));
    const shown = Math.min(room, this.count);
    while (this.thumbs.children.length > shown) this.thumbs.lastChild.remove();
    while (this.thumbs.children.length < shown) this.thumbs.append(this.thumb());
    [...this.thumbs.children].forEach((button, place) => {
      const begin = this.first + Math.floor(place * this.count / shown);
      const end = this.first + Math.floor((place + 1) * this.count / shown);
      const frame = Math.floor((begin + end - 1) / 2);
      const source = `/api/thumbnail/${this.clip}/${frame}`;
      const image = button.firstChild;
      if (image.getAttribute("src") !== source) { image.hidden = false; image.src = source; }
      button.dataset.frame = frame;
      button.setAttribute("aria-label", `Go to frame ${frame + 1}`);
      button.classList.toggle("current", this.viewer.frame >= begin && this.viewer.frame < end);
    });
  }

  thumb() {
    const button = document.createElement("button");
    button.tabIndex = -1;  // j, k, comma and full stop do this by keyboard
    const image = document.createElement("img");
    image.alt = "";
    image.addEventListener("error", () => { image.hidden = true; });
    button.append(image);
    button.addEventListener("click", () => {
      this.viewer.show(this.clip, Number(button.dataset.frame));
      document.getElementById("viewer").focus();
    });
    return button;
  }

  drawRows() {
    const labels = this.model.inTable();
    while (this.rows.children.length > labels.length) this.rows.lastChild.remove();
    while (this.rows.children.length < labels.length) this.rows.append(this.row());
    labels.forEach((label, place) => this.drawRow(this.rows.children[place], label));
    this.rows.querySelector(".selected")?.scrollIntoView({ block: "nearest" });
  }

  row() {
    const row = document.createElement("div");
    row.className = "row";
    const title = document.createElement("span");
    title.className = "title";
    const canvas = document.createElement("canvas");
    canvas.setAttribute("role", "img");
    canvas.title = "Drag to say where it is; with Shift where it is not; with Alt where you cannot tell";
    this.paintWith(canvas, row);
    row.append(title, canvas);
    return row;
  }

  drawRow(row, label) {
    row.dataset.label = label;
    row.classList.toggle("selected", label === this.panel.selected);
    const { name, present } = this.model.labels[label];
    row.firstChild.textContent = name;
    row.firstChild.title = name;
    const canvas = row.lastChild;
    canvas.setAttribute("aria-label", `${name}: present in ${present} frames`);
    const scale = window.devicePixelRatio || 1;
    const width = Math.max(1, Math.round(canvas.clientWidth * scale));
    const height = Math.round(17 * scale);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const pen = canvas.getContext("2d");
    pen.clearRect(0, 0, width, height);
    this.drawProposals(pen, label, width, height);
    this.drawStates(pen, label, width, height);
    if (this.mark !== null && label === this.panel.selected) {
      this.drawSpan(pen, [this.mark, this.viewer.frame], width, height);
    }
    if (this.drag?.label === label) this.drawSpan(pen, [this.drag.from, this.drag.to], width, height);
  }

  drawStates(pen, label, width, height) {
    const style = getComputedStyle(document.documentElement);
    const colours = { [PRESENT]: style.getPropertyValue("--present"), [ABSENT]: style.getPropertyValue("--absent") };
    const kinds = this.model.rows[this.clip];
    const states = this.model.kinds.map(kind => kind[label] ?? 0);
    const px = width / this.count;
    for (let frame = this.first, end; frame < this.first + this.count; frame = end) {
      const kind = kinds[frame];
      end = frame + 1;
      while (end < this.first + this.count && kinds[end] === kind) end += 1;
      if (kind < 0 || !states[kind]) continue;
      pen.fillStyle = colours[states[kind]];
      const from = (frame - this.first) * px;
      const wide = Math.max(2, (end - frame) * px);
      if (states[kind] === PRESENT) pen.fillRect(from, 0, wide, height);
      else pen.fillRect(from, height * .42, wide, height * .16);
    }
  }

  drawProposals(pen, label, width, height) {
    const px = width / this.count;
    pen.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--hatch");
    for (const [start, end, present] of this.proposals) {
      if (!present.includes(label)) continue;
      const from = (start + 1 - this.first) * px, to = (end - this.first) * px;
      for (let x = Math.max(0, from); x < Math.min(width, to); x += 6) {
        pen.fillRect(x, 0, Math.min(3, to - x), height);
      }
    }
  }

  drawSpan(pen, ends, width, height) {
    const px = width / this.count;
    const [from, to] = [Math.min(...ends), Math.max(...ends)];
    pen.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--accent");
    pen.lineWidth = 3;
    pen.strokeRect((from - this.first) * px, 1.5, Math.max(3, (to + 1 - from) * px), height - 3);
  }

  drawHead() {
    const left = this.thumbs.offsetLeft;
    const wide = this.thumbs.clientWidth;
    const at = left + (this.viewer.frame + .5 - this.first) / this.count * wide;
    document.getElementById("head").style.left = `${at}px`;
  }

  paintWith(canvas, row) {
    const frameAt = event => {
      const box = canvas.getBoundingClientRect();
      const share = Math.max(0, Math.min(.999999, (event.clientX - box.left) / box.width));
      return this.first + Math.floor(share * this.count);
    };
    canvas.addEventListener("pointerdown", event => {
      const label = Number(row.dataset.label);
      canvas.setPointerCapture(event.pointerId);
      const frame = frameAt(event);
      this.drag = { label, from: frame, to: frame, state: event.shiftKey ? "absent" : event.altKey ? "unknown" : "present" };
      this.panel.selected = label;
      this.draw();
    });
    canvas.addEventListener("pointermove", event => {
      if (this.drag) { this.drag.to = frameAt(event); this.draw(); }
    });
    canvas.addEventListener("pointercancel", () => { this.drag = null; this.draw(); });
    canvas.addEventListener("pointerup", () => {
      const drag = this.drag;
      this.drag = null;
      if (drag && drag.from !== drag.to) this.paint(drag.label, drag.from, drag.to, drag.state);
      else if (drag) this.viewer.show(this.clip, drag.from);
      document.getElementById("viewer").focus();
    });
  }

  begin() {
    this.mark = this.viewer.frame;
    this.draw();
  }

  end(state) {
    if (this.mark === null) { this.model.tell("Begin the span first: press [ where it starts."); return; }
    if (this.panel.selected < 0) { this.model.tell("Choose a label first: press / and type it."); return; }
    this.paint(this.panel.selected, this.mark, this.viewer.frame, state);
    this.mark = null;
    this.draw();
  }

  paint(label, start, end, state) {
    const clip = this.clip;
    this.model.change(() => ({ action: "paint", clip, start, end, label, state }));
  }

  // The labelled frames around the one that is shown, if what is between them is proposed.
  gap() {
    const { frame } = this.viewer;
    return this.proposals.find(([start, end]) => start <= frame && frame <= end);
  }

  fill() {
    const gap = this.gap();
    if (!gap) { this.model.tell("Nothing is proposed around this frame."); return; }
    const clip = this.clip;
    this.model.change(() => ({ action: "fill", clip, start: gap[0], end: gap[1] }));
  }

  async readProposals() {
    const clip = this.viewer.clip;
    const answer = await ask(`/api/proposals/${clip}`);
    if (clip !== this.viewer.clip) return;
    this.proposals = answer.proposals;
    this.draw();
  }
}
