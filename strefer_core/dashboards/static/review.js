// The review queue by keyboard: a accept, r reject, f fix, j next, k before. One POST per decision.
(() => {
  const root = document.querySelector("#review");
  if (!root) return;
  const base = document.body.dataset.base;
  const mayReview = root.dataset.mayReview === "1";
  const items = JSON.parse(document.querySelector("#items").textContent);
  const scenes = new Map();
  const decided = new Map(); // instruction id -> decision
  const form = document.querySelector("#fix");
  const said = document.querySelector("#said");
  let at = 0;
  let viewer = null;
  let isEnd = false;
  let isBusy = false;

  const make = (parent, tag, text = "", kind = "") => {
    const element = parent.appendChild(document.createElement(tag));
    element.textContent = text;
    if (kind) element.className = kind;
    return element;
  };
  const tell = (text, isWrong = false) => {
    said.textContent = text;
    said.classList.toggle("wrong", isWrong);
  };
  const getJson = async (path) => {
    const reply = await fetch(base + path, { headers: { Accept: "application/json" } });
    if (!reply.ok) throw new Error((await reply.json().catch(() => ({}))).detail ?? `status ${reply.status}`);
    return reply.json();
  };
  const sceneOf = (item) => {
    const id = item.instruction_id;
    if (!scenes.has(id)) scenes.set(id, getJson(`/pairs/${encodeURIComponent(id)}/scene`));
    return scenes.get(id);
  };

  const showPair = (item, colours) => {
    const card = document.querySelector("#pair");
    card.replaceChildren();
    card.dataset.instruction = item.instruction_id;
    const meta = make(card, "p", "", "meta");
    make(meta, "span", item.verdict, `badge ${item.verdict}`);
    make(meta, "span", `${item.group} · ${item.task_type.replaceAll("_", " ")}`);
    if (item.is_negative) make(meta, "span", "asks about something false", "soft");
    if (decided.has(item.instruction_id)) make(meta, "span", `decided: ${decided.get(item.instruction_id)}`, "soft");
    const link = make(meta, "a", "lineage →", "more");
    link.href = `${base}/pairs/${encodeURIComponent(item.instruction_id)}`;
    let region = 0;
    for (const turn of item.turns) {
      const line = make(card, "p", "", `turn ${turn.role}`);
      make(line, "span", turn.role === "human" ? "Q" : "A", "role");
      const text = make(line, "span", "", "said");
      for (const part of turn.parts) {
        if (part.kind === "text") { text.append(part.text); continue; }
        const chip = make(text, "span", part.text, `chip ${part.kind}`);
        if (part.kind === "region") chip.style.setProperty("--chip", colours.get(item.region_entity_ids[region++]) ?? "");
      }
    }
    if (item.error_estimate !== null) showEstimate(card, item);
  };
  const showEstimate = (card, item) => {
    const meter = make(card, "div", "", "meter");
    make(meter, "span").style.width = `${100 * item.error_estimate}%`;
    make(meter, "i").style.left = `${100 * item.error_threshold}%`;
    const [value, limit] = [item.error_estimate, item.error_threshold].map((one) => (100 * one).toFixed(1));
    make(card, "p", `estimated chance to be wrong ${value} %, threshold ${limit} %`, "hint");
  };
  const showScene = (scene) => {
    const holder = document.querySelector("#scene");
    const element = document.createElement("div");
    element.className = "viewer";
    make(make(element, "div", "", "stage"), "p", "loading frame …", "loading");
    const controls = make(element, "div", "", "controls");
    make(controls, "button", "‹").dataset.step = "-1";
    const slider = controls.appendChild(document.createElement("input"));
    slider.type = "range";
    slider.max = scene.times_s.length - 1;
    slider.setAttribute("aria-label", "sampled frame");
    make(controls, "button", "›").dataset.step = "1";
    make(controls, "output");
    make(make(element, "fieldset", "", "entities"), "legend", "masks");
    holder.replaceChildren(element);
    viewer = scene.times_s.length ? new Viewer(element, scene) : null;
    if (!viewer) element.querySelector(".loading").textContent = "no frames";
  };

  const show = async () => {
    const item = items[at];
    closeFix();
    showPair(item, new Map());
    try {
      const scene = await sceneOf(item);
      if (items[at] !== item) return;
      showPair(item, new Map(scene.entities.map((entity) => [entity.id, entity.colour])));
      showScene(scene);
    } catch (error) {
      tell(error.message, true);
    }
    if (items[at + 1]) sceneOf(items[at + 1]).catch(() => {});
    if (items.length - at < 5) more();
  };
  const more = async () => {
    if (isEnd) return;
    isEnd = true; // one request at a time
    const asked = new URLSearchParams({
      queue: root.dataset.queue, group: root.dataset.group, task_type: root.dataset.taskType,
      after: items[items.length - 1].after,
    });
    try {
      const found = await getJson(`/review/items?${asked}`);
      items.push(...found);
      isEnd = found.length === 0;
    } catch (error) {
      isEnd = false;
      tell(error.message, true);
    }
  };
  const move = (by) => {
    const next = at + by;
    if (next < 0 || next >= items.length) {
      tell(next < 0 ? "this is the first" : "the queue is empty: this was the last");
      return;
    }
    at = next;
    show();
  };

  const decide = async (decision, extra = {}) => {
    if (!mayReview || isBusy) return;
    const item = items[at];
    isBusy = true;
    tell("saving …");
    // One id per decision, made here: a request that is sent again is the same decision.
    const body = {
      review_id: newId(), instruction_id: item.instruction_id, pair_key: item.pair_key, decision,
      queue: root.dataset.queue, ...extra,
    };
    try {
      await send(body);
      decided.set(item.instruction_id, decision);
      tell(`saved: ${decision}`);
      isBusy = false;
      if (at + 1 < items.length) move(1); else { await show(); tell(`saved: ${decision}. The queue is empty.`); }
    } catch (error) {
      tell(`not saved: ${error.message}`, true);
    }
    isBusy = false;
  };
  const send = async (body, isSecond = false) => {
    const headers = { "Content-Type": "application/json", Accept: "application/json", [root.dataset.header]: "1" };
    let reply;
    try {
      reply = await fetch(`${base}/reviews`, { method: "POST", headers, body: JSON.stringify(body) });
    } catch (error) {
      if (isSecond) throw error;
      return send(body, true);
    }
    if (!reply.ok) throw new Error((await reply.json().catch(() => ({}))).detail ?? `status ${reply.status}`);
    return reply.json();
  };
  const newId = () => [...crypto.getRandomValues(new Uint8Array(16))].map((one) => one.toString(16).padStart(2, "0")).join("");

  const openFix = () => {
    if (!mayReview) return;
    const answers = form.querySelector(".answers");
    answers.replaceChildren();
    for (const turn of items[at].turns.filter((one) => one.role === "gpt")) {
      const area = answers.appendChild(document.createElement("textarea"));
      area.value = turn.text;
      area.maxLength = 4000;
      area.required = true;
    }
    form.elements.note.value = "";
    form.hidden = false;
    answers.querySelector("textarea").focus();
    tell("edit the answer; <region> and times keep their places");
  };
  const closeFix = () => { form.hidden = true; };
  const saveFix = () => {
    if (!form.reportValidity()) return;
    const answers = [...form.querySelectorAll("textarea")].map((area) => area.value);
    decide("fix", { answers, note: form.elements.note.value });
  };

  form.addEventListener("submit", (event) => { event.preventDefault(); saveFix(); });
  form.querySelector(".cancel").addEventListener("click", () => { closeFix(); tell(""); });
  document.querySelectorAll("[data-decision]").forEach((button) => {
    button.disabled = !mayReview;
    button.addEventListener("click", () => (button.dataset.decision === "fix" ? openFix() : decide(button.dataset.decision)));
  });
  document.querySelectorAll("[data-move]").forEach((button) => {
    button.addEventListener("click", () => move(Number(button.dataset.move)));
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !form.hidden) { closeFix(); tell(""); return; }
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !form.hidden) { event.preventDefault(); saveFix(); return; }
    if (event.target.matches("textarea, select, input:not([type=range]):not([type=checkbox])")) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const keys = {
      a: () => decide("accept"), r: () => decide("reject"), f: openFix, j: () => move(1), k: () => move(-1),
      m: () => viewer?.toggleAll(), ArrowLeft: () => viewer?.step(-1), ArrowRight: () => viewer?.step(1),
    };
    if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
  });
  // Keys work at once, also where the page lies in a frame that nobody has clicked into.
  window.focus();
  root.focus({ preventScroll: true });
  show();
})();
