// The command that trains, and a run of it.

import { ask } from "/page/model.js";
import { clock } from "/page/panel.js";

const SPOKEN = {
  idle: "", running: "Training runs", done: "Done: the bundle has the labels", failed: "It failed: the last lines say why",
  stopped: "Stopped: the next run goes on from here",
};

export class Training {
  constructor(model) {
    this.model = model;
    this.dialog = document.getElementById("training");
    document.getElementById("run").addEventListener("click", () => this.run({}));
    document.getElementById("run-stop").addEventListener("click", () => this.run({ stop: true }));
  }

  open() {
    this.advise();
    this.dialog.showModal();
  }

  advise() {
    const { labels, enough } = this.model;
    const poor = this.model.inTable().filter(label => labels[label].present < enough);
    const names = poor.slice(0, 6).map(label => `${labels[label].name} (${labels[label].present})`);
    const more = poor.length > 6 ? ` and ${poor.length - 6} more` : "";
    document.getElementById("advice").textContent = poor.length
      ? `Fewer than ${enough} frames show: ${names.join(", ")}${more}. It trains, but more examples help.`
      : "Every label has enough examples.";
  }

  async run(said) {
    try { this.show(await ask("/api/train", said)); } catch (error) { this.model.tell(error.message, true); }
  }

  // A line breaks between arguments, not at a hyphen in one.
  showCommand(text) {
    const place = document.getElementById("command");
    if (place.textContent === text) return;
    place.replaceChildren(...text.split(" ").flatMap((word, number) => {
      const part = document.createElement("span");
      part.textContent = word;
      return number ? [" ", part] : [part];
    }));
  }

  show(report) {
    if (!report) return;
    const running = report.state === "running";
    this.showCommand(report.command);
    const spoken = SPOKEN[report.state];
    document.getElementById("run-state").textContent =
      spoken && `${spoken} (${clock(report.seconds).replace(/\.\d$/, "")}).`;
    const bar = document.getElementById("run-bar"), stage = document.getElementById("run-stage");
    bar.hidden = stage.hidden = !running;
    stage.textContent = report.stage ? `${report.stage.stage}: ${report.stage.done} of ${report.stage.total}` : "";
    if (report.stage) { bar.max = report.stage.total; bar.value = report.stage.done; }
    else bar.removeAttribute("value");
    document.getElementById("run").hidden = running;
    document.getElementById("run-stop").hidden = !running;
    const lines = document.getElementById("run-lines");
    const text = report.lines.join("\n");
    lines.hidden = !text;
    if (lines.textContent !== text) {
      lines.textContent = text;
      lines.scrollTop = lines.scrollHeight;
    }
  }
}
