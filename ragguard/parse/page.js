// What a page looks like, asked from a world of its own: the page's own scripts do not run.
// Numbers are pixels of the window; text nodes are told by number, in the order of the document.
(() => {
  const NAME = "%NAME%"; // of the highlight that takes text away; no rule of the page can name it
  const UNDRAWN = new Set(["script", "style", "noscript", "title", "iframe", "noembed", "noframes"]);
  const FIELDS = new Set(["textarea", "option"]); // drawn, but not from their text nodes
  const LEAST = { width: 60, height: 12 }; // of a box that a reader scrolls in
  const texts = []; // text nodes that say something
  const places = []; // offsets of the glyphs of each: begin, end, begin, end ...
  const painted = []; // by text node: elements whose paint a highlight does not take away, and how
  const kept = []; // animations that take it away now

  function begin(open) {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(`::highlight(${NAME}) {
      color: transparent !important; -webkit-text-fill-color: transparent !important;
      -webkit-text-stroke-color: transparent !important; background: transparent !important; }`);
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
    if (open) for (const one of document.querySelectorAll("details")) one.open = true;
    settle();
    unfold();
    const walker = document.createTreeWalker(document, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const node = walker.currentNode;
      const parent = node.parentElement;
      if (parent && !UNDRAWN.has(parent.localName) && /\S/.test(node.data)) texts.push(node);
    }
    for (const node of texts) {
      places.push(glyphs(node.data));
      painted.push(paints(node.parentElement));
    }
    return JSON.stringify({
      texts: texts.map((node) => node.data),
      places,
      marks: texts.map(mark),
      boxes: texts.map((_, at) => boxes(at)),
      extent: extent(),
      pinned: pinned(),
      bare: bare(),
    });
  }

  // Whether style sheets are named that lie elsewhere, so that they are not here.
  function bare() {
    const here = (url) => !url || /^data:/i.test(url);
    for (const link of document.querySelectorAll("link[rel~=stylesheet i]")) {
      if (!here(link.href)) return true;
    }
    const imports = (sheet) =>
      [...sheet.cssRules].some((r) => r instanceof CSSImportRule && !here(r.href));
    return [...document.styleSheets].some((sheet) => {
      try {
        return imports(sheet);
      } catch {
        return false; // of a sheet that may not be read; those in the page may
      }
    });
  }

  // Lay out now what is laid out when it is scrolled to.
  function unfold() {
    for (const one of document.querySelectorAll("body, body *")) {
      if (getComputedStyle(one).contentVisibility !== "auto") continue;
      one.animate({ contentVisibility: "visible" }, { duration: 1, fill: "both" }).finish();
    }
  }

  // Bring animations to their end, or to the middle of what they repeat for ever.
  function settle() {
    for (const animation of document.getAnimations()) {
      // One that hangs on scrolling, or does not run, stays where it is.
      if (animation.timeline !== document.timeline || animation.playState === "paused") continue;
      try {
        animation.finish();
      } catch {
        const timing = animation.effect.getComputedTiming();
        animation.pause();
        animation.currentTime = timing.delay + timing.duration / 2;
      }
    }
  }

  // A character that is drawn, with the marks that follow it.
  function glyphs(data) {
    const found = [];
    for (const one of data.matchAll(/[^\s\p{M}\p{Cf}][\p{M}\p{Cf}]*/gu)) {
      found.push(one.index, one.index + one[0].length);
    }
    return found;
  }

  function mark(node) {
    const parent = node.parentElement;
    if (FIELDS.has(parent.localName)) return "field";
    if ((getComputedStyle(parent).webkitTextSecurity || "none") !== "none") return "replaced";
    return parent.closest("pre, table, code") ? "wide" : "";
  }

  function paints(parent) {
    const found = [];
    const style = getComputedStyle(parent);
    if (FIELDS.has(parent.localName)) {
      const field = parent.closest("select") || parent;
      found.push([field, { color: "transparent", webkitTextFillColor: "transparent" }]);
    }
    if (parent.namespaceURI === "http://www.w3.org/2000/svg") {
      found.push([parent, { fill: "transparent", stroke: "transparent", textShadow: "none" }]);
    } else if (style.textShadow !== "none") {
      found.push([parent, { textShadow: "none" }]);
    }
    for (let above = parent; above; above = above.parentElement) {
      if (getComputedStyle(above).backgroundClip.includes("text")) {
        found.push([above, { backgroundImage: "none", backgroundColor: "transparent" }]);
      }
    }
    return found;
  }

  // Left, top, right, bottom of each glyph on the page, in quarters of pixels; nothing where there
  // are none. A field has one box.
  function boxes(at) {
    const node = texts[at];
    const parent = node.parentElement;
    if (parent.closest("option") && getComputedStyle(parent.closest("option")).display === "none") return [];
    if (FIELDS.has(parent.localName)) return rounded((parent.closest("select") || parent).getBoundingClientRect());
    const range = document.createRange();
    range.selectNodeContents(node);
    if (!range.getClientRects().length) return [];
    const found = [];
    for (let glyph = 0; glyph < places[at].length; glyph += 2) {
      range.setStart(node, places[at][glyph]);
      range.setEnd(node, places[at][glyph + 1]);
      found.push(...rounded(range.getBoundingClientRect()));
    }
    return found;
  }

  function rounded(box) {
    return [box.left + scrollX, box.top + scrollY, box.right + scrollX, box.bottom + scrollY].map(
      (side) => Math.round(Math.min(Math.max(side, -1e6), 1e7) * 4),
    );
  }

  // Width and height of the window, and of all that a reader can scroll to.
  function extent() {
    const root = document.scrollingElement || document.documentElement;
    const outer = getComputedStyle(document.documentElement);
    const inner = document.body ? getComputedStyle(document.body) : outer;
    const free = (way) => {
      const flow = outer[way] === "visible" ? inner[way] : outer[way];
      return flow !== "hidden" && flow !== "clip";
    };
    return [
      innerWidth,
      innerHeight,
      free("overflowX") ? root.scrollWidth : innerWidth,
      free("overflowY") ? root.scrollHeight : innerHeight,
    ];
  }

  // Whether something stays in its place, over what is scrolled.
  function pinned() {
    for (const element of document.querySelectorAll("body *")) {
      if (/fixed|sticky/.test(getComputedStyle(element).position)) return true;
    }
    return false;
  }

  // Take the text of some nodes away, and put that of all others back; null is all of them.
  function hide(which) {
    CSS.highlights.delete(NAME);
    while (kept.length) kept.pop().cancel();
    const chosen = which === null ? [...texts.keys()] : which;
    if (!chosen.length) return;
    const done = new Set();
    const highlight = new Highlight();
    for (const at of chosen) {
      const range = document.createRange();
      range.selectNodeContents(texts[at]);
      highlight.add(range);
      for (const [element, less] of painted[at]) {
        if (done.has(element)) continue;
        done.add(element);
        kept.push(element.animate({ ...less, easing: "step-start" }, { duration: 1, fill: "both" }));
        kept.at(-1).finish();
      }
    }
    CSS.highlights.set(NAME, highlight);
  }

  function show(x, y, which) {
    hide(which);
    scrollTo({ left: x, top: y, behavior: "instant" });
    return JSON.stringify([scrollX, scrollY]);
  }

  // Take away what stands beside the page's main part, such as banners and boxes to be closed, and
  // may lie over it; nothing moves by it. Told are the boxes of what has a place of its own.
  function lift() {
    let top = document.body;
    if (top && top.children.length === 1 && top.firstElementChild.localName === "form") top = top.firstElementChild;
    const says = (one) => (UNDRAWN.has(one.localName) ? 0 : one.textContent.length);
    const parts = top ? [...top.children] : [];
    const most = parts.reduce((sum, one) => sum + says(one), 0) / 2;
    const main = parts.find((one) => says(one) > most);
    const over = [];
    for (const part of main ? parts : []) {
      if (part === main) continue;
      for (const one of [part, ...part.querySelectorAll("*")]) {
        const style = getComputedStyle(one);
        if (style.visibility !== "visible") continue;
        const box = style.position === "static" ? [] : rounded(one.getBoundingClientRect());
        if (/fixed|sticky/.test(style.position)) [box[1], box[3]] = [-4e6, 4e7];
        if (box[2] > box[0] && box[3] > box[1]) over.push(box);
      }
      for (const one of [part, ...part.querySelectorAll("*")]) {
        if (getComputedStyle(one).visibility !== "visible") continue;
        one.animate({ visibility: "hidden", easing: "step-start" }, { duration: 1, fill: "both" }).finish();
      }
    }
    return JSON.stringify(over);
  }

  // Scroll boxes that a reader can scroll, each to the first glyph that asks for it and is not in
  // view. Asked are pairs of a text node and one of its glyphs, -1 for none. Told are the nodes
  // that moved something, and where the glyphs of all of them are now.
  function turn(asked) {
    scrollTo({ left: 0, top: 0, behavior: "instant" });
    const moved = new Set();
    const movers = [];
    for (const [at, glyph] of asked) {
      if (glyph >= 0 && bring(at, glyph, moved)) movers.push(at);
    }
    const now = moved.size ? asked.map(([at]) => boxes(at)) : [];
    return JSON.stringify({ movers, boxes: now, extent: extent() });
  }

  function bring(at, glyph, moved) {
    const range = document.createRange();
    range.setStart(texts[at], places[at][2 * glyph]);
    range.setEnd(texts[at], places[at][2 * glyph + 1]);
    const before = moved.size;
    for (let box = texts[at].parentElement; box; box = box.parentElement) {
      if (moved.has(box) || box === document.scrollingElement || box === document.body) continue;
      if (box.clientWidth < LEAST.width || box.clientHeight < LEAST.height) continue;
      const style = getComputedStyle(box);
      const free = (flow) => flow === "auto" || flow === "scroll";
      const [one, frame] = [range.getBoundingClientRect(), box.getBoundingClientRect()];
      const [left, top] = [box.scrollLeft, box.scrollTop];
      if (free(style.overflowX) && (one.left < frame.left || one.right > frame.right)) {
        box.scrollLeft += one.left - frame.left - 8;
      }
      if (free(style.overflowY) && (one.top < frame.top || one.bottom > frame.bottom)) {
        box.scrollTop += one.top - frame.top - 8;
      }
      if (left !== box.scrollLeft || top !== box.scrollTop) moved.add(box);
    }
    return moved.size > before;
  }

  globalThis.ragguard = { begin, show, turn, lift };
})();
