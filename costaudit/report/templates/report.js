(() => {
  "use strict";
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const make = (tag, text, className) => {
    const made = document.createElement(tag);
    if (text) made.textContent = text;
    if (className) made.className = className;
    return made;
  };
  const say = (text, values) => text.replace(/\{(\w+)\}/g, (_all, name) => values[name]);
  document.documentElement.classList.add("scripted");

  const save = (name, type, text) => {
    const link = make("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  const data = (id) => document.getElementById(id).textContent;
  document.getElementById("save-json").addEventListener("click", () =>
    save("costaudit.json", "application/json", data("costaudit-data")));
  document.getElementById("save-csv").addEventListener("click", () =>
    save("costaudit.csv", "text/csv", JSON.parse(data("costaudit-csv"))));

  const copied = (button, text) => {
    const done = () => {
      const before = button.textContent;
      button.textContent = _("Copied");
      setTimeout(() => { button.textContent = before; }, 1200);
    };
    const byHand = () => {
      const area = make("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
      done();
    };
    if (navigator.clipboard) navigator.clipboard.writeText(text).then(done, byHand);
    else byHand();
  };
  all(".copy").forEach((box) => {
    const button = make("button", _("Copy"));
    button.type = "button";
    button.addEventListener("click", () => copied(button, box.querySelector("pre").textContent));
    box.append(button);
  });

  const folded = all("details.fold");
  const reveal = () => {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    for (let up = target; up; up = up.parentElement) if (up.tagName === "DETAILS") up.open = true;
  };
  addEventListener("hashchange", reveal);
  reveal();

  const FEW = 12;
  const value = (row, column) => {
    const cell = row.cells[column];
    if (!cell) return "";
    return "v" in cell.dataset ? (cell.dataset.v === "" ? null : Number(cell.dataset.v)) : cell.textContent.trim();
  };
  const inOrder = (a, b) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return typeof a === "number" ? a - b : a.localeCompare(b, document.documentElement.lang, { numeric: true });
  };
  const tables = all("table.data").map((table) => {
    const rows = [...table.tBodies[0].rows];
    const state = { rows, words: "", long: rows.length > FEW + 3, open: false };
    const pick = rows.findIndex((row) => row.classList.contains("pick"));
    const around = Math.max(0, Math.min(pick - FEW / 2, rows.length - FEW));
    const rest = make("p", "", "rest");
    const shown = make("span");
    const more = make("button");
    more.type = "button";
    state.show = (page) => {
      const filtered = Boolean(state.words || page);
      const few = state.long && !state.open && !filtered;
      const first = few && state.rows === rows ? around : 0;
      let matching = 0;
      state.rows.forEach((row) => {
        const text = row.textContent.toLowerCase();
        const fits = text.includes(state.words) && text.includes(page);
        matching += fits;
        row.classList.toggle("hidden", !fits || (few && (matching <= first || matching > first + FEW)));
      });
      shown.textContent = few && first ? say(_("Rows {a} to {b} of {n}, around the recommended one."), { a: first + 1, b: first + FEW, n: rows.length })
        : few ? say(_("The first {b} of {n} rows."), { b: FEW, n: rows.length })
        : filtered ? say(_("{a} of {n} rows match."), { a: matching, n: rows.length }) : "";
      more.hidden = !state.long || filtered;
      more.textContent = say(state.open ? _("Show {n} rows") : _("Show all {n} rows"), { n: state.open ? FEW : rows.length });
      return matching;
    };
    all("thead th", table).forEach((head, column) => {
      const button = make("button");
      button.type = "button";
      button.title = _("Sort");
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const number = rows.length && typeof value(rows[0], column) === "number";
        const was = head.getAttribute("aria-sort");
        const down = was ? was === "ascending" : Boolean(number);
        all("th[aria-sort]", table).forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        state.rows = rows.map((row, at) => [value(row, column), at, row])
          .sort((a, b) => (a[0] === null || b[0] === null ? inOrder(a[0], b[0]) : (down ? -1 : 1) * inOrder(a[0], b[0])) || a[1] - b[1])
          .map((entry) => entry[2]);
        table.tBodies[0].append(...state.rows);
        state.show(search.value.trim().toLowerCase());
      });
    });
    const scroll = table.closest(".scroll");
    rest.append(shown, more);
    scroll.after(rest);
    if (rows.length > FEW) {
      const bar = make("div", "", "tablebar script-only");
      const filter = make("input");
      filter.type = "search";
      filter.placeholder = _("Filter these rows");
      filter.setAttribute("aria-label", _("Filter these rows"));
      filter.addEventListener("input", () => {
        state.words = filter.value.trim().toLowerCase();
        state.show(search.value.trim().toLowerCase());
      });
      bar.append(filter);
      scroll.before(bar);
    }
    more.addEventListener("click", () => {
      state.open = !state.open;
      state.show(search.value.trim().toLowerCase());
    });
    return state;
  });
  const search = document.getElementById("search");
  const found = document.getElementById("found");
  const lookUp = () => {
    const page = search.value.trim().toLowerCase();
    const matching = tables.reduce((sum, table) => sum + table.show(page), 0);
    found.textContent = page ? say(_("{n} table rows match"), { n: matching }) : "";
    if (page) folded.forEach((one) => { one.open = one.textContent.toLowerCase().includes(page); });
  };
  search.addEventListener("input", lookUp);
  lookUp();

  const sweep = document.getElementById("sweep-chart");
  if (sweep) {
    const said = document.getElementById("sweep-said");
    const lines = all("#sweep-table tbody tr");
    all(".slot", sweep).forEach((slot) => {
      const cross = slot.ownerSVGElement.querySelector(".cross");
      const row = lines.find((line) => line.dataset.point === slot.dataset.point);
      slot.addEventListener("pointerenter", () => {
        cross.setAttribute("x1", slot.dataset.at);
        cross.setAttribute("x2", slot.dataset.at);
        cross.classList.remove("hidden");
        said.textContent = slot.textContent.trim();
        if (row) row.classList.add("hover");
      });
      slot.addEventListener("pointerleave", () => {
        cross.classList.add("hidden");
        said.textContent = "";
        if (row) row.classList.remove("hover");
      });
    });
    const chooser = document.getElementById("overlay");
    if (chooser) {
      chooser.addEventListener("change", () => all(".overlays", sweep).forEach((group) => {
        group.classList.toggle("hidden", group.dataset.overlay !== chooser.value);
      }));
    }
  }
})();
