// Find a label by its first letters, or add one.

const SHOWN = 8;

export class Finder {
  constructor(model, panel) {
    this.model = model;
    this.panel = panel;
    this.input = document.getElementById("find");
    this.list = document.getElementById("found");
    this.hits = [];
    this.place = 0;
    this.input.addEventListener("input", () => { this.place = 0; this.draw(); });
    this.input.addEventListener("keydown", event => this.key(event));
    this.input.addEventListener("blur", () => setTimeout(() => this.close(), 150));
  }

  open() { this.input.focus(); this.input.select(); }

  close() {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }

  // Labels by how well they fit, those of the table first; then the text itself as a new one.
  find() {
    const text = this.input.value.trim();
    if (!text) return [];
    const low = text.toLowerCase();
    const rank = label => {
      const name = this.model.labels[label].name.toLowerCase();
      const at = name.indexOf(low);
      if (at < 0) return Infinity;
      return (name === low ? 0 : at === 0 ? 1 : 2) + (this.model.labels[label].inTable ? 0 : 3);
    };
    const ranks = new Map([...this.model.labels.keys()].map(label => [label, rank(label)]));
    const known = [...ranks.keys()].filter(label => ranks.get(label) < Infinity)
      .sort((one, other) => ranks.get(one) - ranks.get(other)).slice(0, SHOWN);
    const hits = known.map(label => ({ label, text: this.model.labels[label].name }));
    if (!this.model.labels.some(label => label.name === text)) {
      hits.push({ label: -1, name: text, text: `New label: ${text}` });
    }
    return hits;
  }

  draw() {
    this.hits = this.find();
    this.list.replaceChildren(...this.hits.map((hit, place) => {
      const item = document.createElement("li");
      item.id = `found-${place}`;
      item.setAttribute("role", "option");
      item.setAttribute("aria-selected", String(place === this.place));
      item.textContent = hit.text;
      item.addEventListener("mousedown", event => { event.preventDefault(); this.take(hit); });
      return item;
    }));
    this.list.hidden = this.hits.length === 0;
    this.input.setAttribute("aria-expanded", String(!this.list.hidden));
    if (this.hits.length) this.input.setAttribute("aria-activedescendant", `found-${this.place}`);
  }

  key(event) {
    const moves = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in moves && this.hits.length) {
      const count = this.hits.length;
      this.place = (this.place + moves[event.key] + count) % count;
      this.draw();
    } else if (event.key === "Enter" && this.hits[this.place]) this.take(this.hits[this.place]);
    else if (event.key === "Escape" || (event.key === "Enter" && !this.input.value.trim())) this.leave();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  leave() {
    this.input.value = "";
    this.hits = [];
    this.close();
    document.getElementById("viewer").focus();
  }

  async take(hit) {
    this.leave();
    let label = hit.label;
    if (label < 0) {
      const answer = await this.model.change(() => ({ action: "add_label", name: hit.name }));
      if (!answer) return;
      label = this.model.labels.length - 1;
    }
    this.panel.selected = label;
    if (this.panel.stateOf(label) !== "present") await this.panel.setPresent(label);
    else this.panel.toggle(label);
  }
}
