// What each key does.

export const KEYS = [
  ["Enter", "accept the frame as it is shown, go on"],
  ["1 … 9, 0", "toggle a label"],
  ["/", "find or add a label"],
  ["↑ ↓, Space", "choose a label, toggle it"],
  ["u", "I cannot tell of the chosen label"],
  ["Shift+U", "I cannot tell of the whole frame, go on"],
  ["j, →  /  k, ←", "on / back"],
  [".  /  ,", "one frame on / back"],
  ["[  then  ]", "the chosen label is there from here to there; } for: it is not"],
  ["p", "fill what is proposed between two labelled frames"],
  ["z  /  y", "undo / redo"],
  ["x", "take the labels of this frame away"],
  ["s", "suggestions on or off"],
  ["+  /  -", "time strip: see less / more"],
];

export function listen({ model, viewer, panel, strip, finder, undo, redo, help, toggleSuggest }) {
  const chosen = () => panel.selected;
  const actions = {
    Enter: () => panel.accept(),
    "/": () => finder.open(),
    ArrowDown: () => panel.select(1),
    ArrowUp: () => panel.select(-1),
    " ": () => { if (chosen() >= 0) panel.toggle(chosen()); },
    u: () => panel.markUnknown(chosen()),
    U: () => panel.markFrameUnknown(),
    j: () => viewer.forward(),
    ArrowRight: () => viewer.forward(),
    k: () => viewer.back(),
    ArrowLeft: () => viewer.back(),
    ".": () => viewer.by(1),
    ",": () => viewer.by(-1),
    "[": () => strip.begin(),
    "]": () => strip.end("present"),
    "}": () => strip.end("absent"),
    Escape: () => { strip.mark = null; strip.draw(); },
    p: () => strip.fill(),
    z: undo,
    y: redo,
    Z: redo,
    x: () => {
      const { clip, frame } = viewer;
      model.accepted.delete(panel.key);
      model.unsure.delete(panel.key);
      model.change(() => ({ action: "clear", clip, frame }));
    },
    s: toggleSuggest,
    "+": () => strip.zoom(.5),
    "=": () => strip.zoom(.5),
    "-": () => strip.zoom(2),
    "?": help,
  };
  for (let digit = 0; digit < 10; digit += 1) {
    actions[String(digit)] = () => {
      const label = panel.shown()[(digit + 9) % 10];
      if (label === undefined) return;
      panel.selected = label;
      panel.toggle(label);
    };
  }
  document.addEventListener("keydown", event => {
    if (document.querySelector("dialog[open]")) return;
    const target = event.target;
    if (target.matches("input[type=text], select")) return;
    const works = target.matches("button, input, a") && ["Enter", " "].includes(event.key);
    if (works || event.altKey) return;
    const control = event.ctrlKey || event.metaKey;
    const key = control ? { z: "z", Z: "Z", y: "y" }[event.key] : event.key;
    if (!actions[key]) return;
    event.preventDefault();
    actions[key]();
  });
}
