// The pictures of a storyboard: a slider goes through the cues of its WebVTT file.

import { base, here } from "./api.js";
import { duration, h } from "./dom.js";

/// A cue: its begin, and the part of a sheet that is shown then, in pixels.
const CUE = /(\d+):(\d+):([\d.]+) --> .*\n(\S+)#xywh=(\d+),(\d+),(\d+),(\d+)/g;

/// A place that shows one picture at a time; null if the outputs are no storyboard that is kept here.
export function sprites(files) {
  const url = here(files.find((file) => file.filename.endsWith(".vtt"))?.storage_url);
  if (!url?.startsWith(base.href)) return null;
  const sheets = new Map(files.map((file) => [file.filename, here(file.storage_url)]));
  const shown = h("div", { class: "sprite", role: "img" });
  const slider = h("input", { type: "range", min: "0", value: "0", "aria-label": "Time" });
  const time = h("span", { class: "hint" });
  const whole = h("div", { class: "storyboard", hidden: true }, shown, slider, time);
  async function load() {
    const cues = [...(await (await fetch(url)).text()).matchAll(CUE)].filter(([, , , , sheet]) => sheets.has(sheet));
    if (!cues.length) return;
    slider.max = cues.length - 1;
    const draw = () => {
      const [, hours, minutes, seconds, sheet, x, y, width, height] = cues[slider.value];
      const text = duration(hours * 3600 + minutes * 60 + Number(seconds));
      Object.assign(shown.style, {
        backgroundImage: `url("${sheets.get(sheet)}")`, backgroundPosition: `-${x}px -${y}px`, width: `${width}px`, height: `${height}px`,
      });
      shown.setAttribute("aria-label", `The picture at ${text}`);
      slider.setAttribute("aria-valuetext", text);
      time.textContent = text;
    };
    slider.addEventListener("input", draw);
    draw();
    whole.hidden = false;
  }
  load().catch(() => {});
  return whole;
}
