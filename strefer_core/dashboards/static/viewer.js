// Steps through the sampled frames of a video; one transparent picture per entity lies over the frame.
class Viewer {
  constructor(element, scene) {
    this.element = element;
    this.scene = scene;
    this.base = document.body.dataset.base;
    this.shown = new Set(scene.entities.filter((entity) => entity.shown).map((entity) => entity.id));
    this.stage = element.querySelector(".stage");
    this.slider = element.querySelector("input[type=range]");
    this.output = element.querySelector("output");
    this.listen();
    this.listEntities();
    this.show(scene.start);
  }

  listen() {
    this.slider.addEventListener("input", () => this.show(Number(this.slider.value)));
    this.element.querySelectorAll("[data-step]").forEach((button) => {
      button.addEventListener("click", () => this.step(Number(button.dataset.step)));
    });
  }

  listEntities() {
    const list = this.element.querySelector(".entities");
    list.hidden = !this.scene.entities.length;
    for (const entity of this.scene.entities) {
      const label = list.appendChild(document.createElement("label"));
      const box = label.appendChild(document.createElement("input"));
      const dot = label.appendChild(document.createElement("i"));
      box.type = "checkbox";
      box.checked = this.shown.has(entity.id);
      box.disabled = !entity.visible.length;
      box.dataset.entity = entity.id;
      dot.style.background = entity.colour;
      label.append(entity.expression);
      label.dataset.entity = entity.id;
      box.addEventListener("change", () => this.toggle(entity.id, box.checked));
    }
  }

  toggle(id, on) {
    if (on) this.shown.add(id); else this.shown.delete(id);
    this.drawMasks();
  }

  toggleAll() {
    const boxes = [...this.element.querySelectorAll(".entities input:not(:disabled)")];
    const on = !boxes.some((box) => box.checked);
    boxes.forEach((box) => { box.checked = on; this.toggle(box.dataset.entity, on); });
  }

  step(by) { this.show(this.index + by); }

  show(index) {
    this.index = Math.min(Math.max(index, 0), this.scene.times_s.length - 1);
    this.slider.value = this.index;
    const time = this.scene.times_s[this.index];
    this.output.textContent = `frame ${this.index}, ${time.toFixed(2)} s`;
    this.drawFrame();
    this.drawMasks();
    this.element.dispatchEvent(new CustomEvent("frame", { detail: { time_s: time }, bubbles: true }));
  }

  showTime(time) {
    const times = this.scene.times_s;
    let best = 0;
    times.forEach((one, index) => { if (Math.abs(one - time) < Math.abs(times[best] - time)) best = index; });
    this.show(best);
  }

  drawFrame() {
    const url = this.frameUrl(this.index);
    let picture = this.stage.querySelector("img.frame");
    if (!picture) {
      picture = document.createElement("img");
      picture.className = "frame";
      picture.alt = "sampled frame";
      picture.addEventListener("load", () => { picture.hidden = false; this.said(""); });
      picture.addEventListener("error", () => { picture.hidden = true; this.explain(picture.src); });
      this.stage.prepend(picture);
    }
    picture.src = url;
    if (this.index + 1 < this.scene.times_s.length) new Image().src = this.frameUrl(this.index + 1);
  }

  frameUrl(index) { return `${this.base}/frames/${this.scene.video_id}/${index}.jpg`; }

  drawMasks() {
    this.stage.querySelectorAll("img.mask").forEach((one) => one.remove());
    for (const entity of this.scene.entities) {
      const seen = Boolean(entity.visible[this.index]);
      const label = this.element.querySelector(`label[data-entity="${CSS.escape(entity.id)}"]`);
      label.classList.toggle("absent", !seen);
      if (seen && this.shown.has(entity.id)) this.stage.append(this.mask(entity));
    }
  }

  mask(entity) {
    const picture = document.createElement("img");
    picture.className = "mask";
    picture.alt = `mask of ${entity.expression}`;
    picture.dataset.entity = entity.id;
    picture.addEventListener("error", () => picture.remove());
    picture.src = `${this.base}/masks/${this.scene.video_id}/${encodeURIComponent(entity.id)}/${this.index}.png`;
    return picture;
  }

  async explain(url) {
    const reply = await fetch(url, { headers: { Accept: "application/json" } }).catch(() => null);
    const told = reply && !reply.ok ? (await reply.json().catch(() => ({}))).detail : "";
    this.said(`this frame cannot be shown${told ? `: ${told}` : ""}`);
  }

  said(text) {
    const note = this.stage.querySelector(".loading") ?? this.stage.appendChild(document.createElement("p"));
    note.className = "loading still";
    note.textContent = text;
    note.hidden = !text;
  }
}

(() => {
  const element = document.querySelector(".viewer[data-scene]");
  if (!element) return;
  const viewer = new Viewer(element, JSON.parse(element.querySelector("script").textContent));
  const timeline = document.querySelector(".timeline");
  const cursor = timeline?.querySelector(".cursor");
  const mark = (time) => {
    if (!cursor) return;
    const track = timeline.querySelector(".lane-track");
    const left = track.offsetLeft + track.offsetWidth * (time / Number(timeline.dataset.duration));
    cursor.hidden = false;
    cursor.style.left = `${left}px`;
  };
  element.addEventListener("frame", (event) => mark(event.detail.time_s));
  mark(viewer.scene.times_s[viewer.index]);
  document.querySelectorAll("[data-time]").forEach((one) => {
    one.addEventListener("click", () => viewer.showTime(Number(one.dataset.time)));
  });
  document.querySelectorAll(".strip [data-frame]").forEach((one) => {
    one.addEventListener("click", (event) => { event.preventDefault(); viewer.show(Number(one.dataset.frame)); });
  });
  document.querySelectorAll("[data-filter] input").forEach((one) => one.addEventListener("change", () => {
    document.querySelectorAll("article.qa").forEach((pair) => {
      pair.hidden = Boolean(one.value) && pair.dataset.status !== one.value;
    });
  }));
  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input, textarea, select")) return;
    if (event.key === "ArrowLeft") viewer.step(-1);
    if (event.key === "ArrowRight") viewer.step(1);
    if (event.key === "m") viewer.toggleAll();
  });
})();
