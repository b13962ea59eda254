// The labels as the server has them, and changes to them, one after the other.

export const UNKNOWN = 0, PRESENT = 1, ABSENT = 2;

export class Model {
  constructor(tell) {
    this.tell = tell;          // (text, bad) => shows a notice
    this.listeners = [];
    this.queue = Promise.resolve();
    this.pending = 0;
    this.unsure = new Map();   // "clip-frame" -> labels marked as unknown before it was accepted
    this.accepted = new Set(); // frames accepted on this page
  }

  async load() {
    const state = await ask("/api/state");
    this.clips = state.clips;
    this.table = state.table;
    this.enough = state.enough;
    this.gone = state.gone;
    this.faults = state.faults;
    this.bundle = state.bundle;
    this.bundleLabels = new Set(state.bundleLabels);
    this.trains = state.training;
    this.kinds = [];
    this.kindOf = new Map();
    this.rows = this.clips.map(clip => new Int32Array(clip.frames).fill(-1));
    this.take(state);
    this.before = this.rows.map(rows => Uint8Array.from(rows, kind => kind >= 0));
  }

  take(answer) {
    for (const name of ["version", "labels", "labelled", "undo", "redo"]) this[name] = answer[name];
    for (const [clip, first, last, bits] of answer.runs) {
      this.rows[clip].fill(bits === null ? -1 : this.kind(bits), first, last + 1);
    }
    this.listeners.forEach(listener => listener());
  }

  kind(bits) {
    const key = JSON.stringify(bits);
    if (!this.kindOf.has(key)) {
      const states = [];
      bits[0].forEach(label => { states[label] = PRESENT; });
      bits[1].forEach(label => { states[label] = ABSENT; });
      this.kindOf.set(key, this.kinds.length);
      this.kinds.push(states);
    }
    return this.kindOf.get(key);
  }

  has(clip, frame) { return this.rows[clip][frame] >= 0; }

  stateOf(clip, frame, label) {
    const kind = this.rows[clip][frame];
    return kind < 0 ? UNKNOWN : this.kinds[kind][label] ?? UNKNOWN;
  }

  unknownIn(clip, frame) {
    return this.inTable().filter(label => this.stateOf(clip, frame, label) === UNKNOWN);
  }

  // Accepted here, or found with an answer for every label.
  isAccepted(clip, frame) {
    if (!this.has(clip, frame)) return false;
    if (this.accepted.has(`${clip}-${frame}`)) return true;
    return this.before?.[clip][frame] === 1 && this.inTable().length > 0
      && this.unknownIn(clip, frame).length === 0;
  }

  inTable() { return [...this.labels.keys()].filter(label => this.labels[label].inTable); }

  // Changes wait for each other; `make` gives the request when its turn has come, or null.
  change(make) {
    this.pending += 1;
    const done = this.queue.then(async () => {
      const said = make();
      if (!said) return null;
      try {
        const answer = await ask("/api/change", { version: this.version, ...said });
        this.take(answer);
        this.tell("");
        return answer;
      } catch (error) {
        if (error.stale) await this.reload();
        else this.tell(error.message, true);
        return null;
      }
    }).finally(() => { this.pending -= 1; });
    this.queue = done.catch(() => null);
    return done;
  }

  async reload() {
    await this.load();
    this.tell("Another page changed the labels. They have been read anew: look before you go on.");
  }
}

export async function ask(address, said) {
  const options = said === undefined ? {} : {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(said),
  };
  let answer;
  try {
    answer = await fetch(address, options);
  } catch {
    throw new Error("'polymorph label' no longer runs. What was labelled is saved; start it again to go on.");
  }
  if (answer.status === 403) {
    throw new Error("This page belongs to an earlier run: open the address that 'polymorph label' printed.");
  }
  const content = await answer.json().catch(() => ({ error: `answer ${answer.status}` }));
  if (!answer.ok) {
    const error = new Error(content.error ?? `answer ${answer.status}`);
    error.stale = content.stale === true;
    throw error;
  }
  return content;
}
