// Which frame is shown, and what the bundle says of it.

import { ask } from "/page/model.js";

const AGAIN_MS = 350;

export class Viewer {
  constructor(model) {
    this.model = model;
    this.clip = 0;
    this.frame = 0;
    this.look = null;
    this.history = [];
    this.at = -1;
    this.order = [];
    this.mode = "teach";
    this.stepMs = 1000;
    this.suggesting = true;
    this.listeners = [];
    this.picture = document.getElementById("picture");
    this.missing = document.getElementById("no-picture");
    this.picture.addEventListener("error", () => this.explain());
    this.picture.addEventListener("load", () => {
      this.picture.hidden = false;
      this.missing.hidden = true;
    });
  }

  async readOrder() {
    this.order = (await ask("/api/order")).order;
  }

  show(clip, frame, note = true) {
    const frames = this.model.clips[clip].frames;
    this.clip = clip;
    this.frame = Math.max(0, Math.min(frames - 1, frame));
    if (note) {
      this.history = [...this.history.slice(0, this.at + 1), [clip, this.frame]];
      this.at = this.history.length - 1;
    }
    this.look = null;
    const source = `/api/picture/${clip}/${this.frame}`;
    if (this.picture.getAttribute("src") !== source) this.picture.src = source;
    this.readLook();
    this.changed();
  }

  changed() { this.listeners.forEach(listener => listener()); }

  // Why there is no picture: an image element does not say.
  async explain() {
    const source = this.picture.getAttribute("src");
    let text = "The picture cannot be shown.";
    try { await ask(source); } catch (error) { text = error.message; }
    if (source !== this.picture.getAttribute("src")) return;
    this.missing.textContent = `This picture cannot be read: ${text}`;
    this.missing.hidden = false;
    this.picture.hidden = true;
  }

  async readLook() {
    const [clip, frame] = [this.clip, this.frame];
    const here = () => clip === this.clip && frame === this.frame;
    const coming = this.coming(3);
    const next = coming.map(key => key.join("-")).join(",");
    for (const [c, f] of coming.slice(0, 2)) new Image().src = `/api/picture/${c}/${f}`;
    while (here()) {
      let look;
      try { look = await ask(`/api/look/${clip}/${frame}?next=${next}`); } catch { return; }
      if (!here()) return;
      if (look.ready) {
        this.look = { ...look, scores: new Map(look.scores), active: new Set(look.active) };
        this.changed();
        return;
      }
      if (look.failed) return;
      await new Promise(resolve => setTimeout(resolve, AGAIN_MS));
    }
  }

  // The next frames to come, without going there.
  coming(count) {
    if (this.mode === "time") {
      const next = this.inTime(1);
      return next === this.frame ? [] : [[this.clip, next]];
    }
    const seen = new Set(this.history.map(key => key.join("-")));
    const free = ([clip, frame]) => !this.model.has(clip, frame) && !seen.has(`${clip}-${frame}`);
    const found = [];
    for (const key of this.order) {
      if (free(key)) found.push(key);
      if (found.length === count) break;
    }
    return found;
  }

  inTime(direction) {
    const stamps = this.model.clips[this.clip].stamps.ms;
    const last = stamps.length - 1;
    let frame = this.frame + direction;
    const from = stamps[this.frame];
    while (frame > 0 && frame < last && Math.abs(stamps[frame] - from) < this.stepMs) frame += direction;
    return Math.max(0, Math.min(last, frame));
  }

  forward() {
    if (this.mode === "time") { this.show(this.clip, this.inTime(1)); return; }
    if (this.at < this.history.length - 1) {
      this.at += 1;
      this.show(...this.history[this.at], false);
      return;
    }
    const [next] = this.coming(1);
    if (next) this.show(...next);
    else this.model.tell("Every frame of this order has been shown. Look at the time strip for others.");
  }

  back() {
    if (this.mode === "time") this.show(this.clip, this.inTime(-1));
    else if (this.at > 0) {
      this.at -= 1;
      this.show(...this.history[this.at], false);
    }
  }

  by(frames) { this.show(this.clip, this.frame + frames); }
}
