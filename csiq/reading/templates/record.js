// What a reader said, case by case, kept in the browser so that closing the page loses nothing.
// A case's time runs while its image can be seen: not while it loads, the page is hidden or the reader pauses.
class Record {
  constructor(session, reader) {
    this.session = session;
    this.reader = reader;
    this.place = `csiq-read/${session.session}/${reader}`;
    this.answers = session.cases.map(() => ({ said: null, seconds: 0, visits: 0, changes: 0 }));
    this.at = 0;
    this.since = null;
    this.kept = true;
    this.restore();
  }

  static exists(session, reader) {
    try {
      return localStorage.getItem(`csiq-read/${session.session}/${reader}`) !== null;
    } catch {
      return false;
    }
  }

  restore() {
    try {
      const saved = JSON.parse(localStorage.getItem(this.place));
      if (!saved || saved.answers.length !== this.answers.length) return;
      this.answers = saved.answers;
      this.at = saved.at;
    } catch {
      this.kept = false;
    }
  }

  save() {
    try {
      localStorage.setItem(this.place, JSON.stringify({ at: this.at, answers: this.answers }));
      this.kept = true;
    } catch {
      this.kept = false;
    }
  }

  get current() { return this.answers[this.at]; }
  get done() { return this.answers.filter((answer) => answer.said !== null).length; }

  open(at) {
    this.stop();
    this.at = at;
    this.current.visits += 1;
    this.before = { ...this.current };
    this.save();
  }

  // A change is a visit that leaves another answer than the one before; typing 2, then 2.5, is none.
  say(what) {
    const { said, changes } = this.before;
    this.current.said = what;
    this.current.changes = changes + Number(said !== null && said !== what);
    this.save();
  }

  start() {
    if (this.since === null) this.since = performance.now();
  }

  stop() {
    if (this.since === null) return;
    this.current.seconds += (performance.now() - this.since) / 1000;
    this.since = null;
    this.save();
  }

  // Takes in what is going on without ending it.
  tick() {
    if (this.since === null) return;
    this.stop();
    this.start();
  }

  get columns() {
    const what = this.session.mode === "pairs" ? "choice" : "grade";
    return ["session", "reader", "item", "position", what, "seconds", "visits", "changes"];
  }

  get text() {
    const { session, reader } = this;
    const said = (value) => (value === null ? "nan" : typeof value === "number" ? value.toFixed(1) : value);
    const lines = this.answers.map((a, i) =>
      [session.session, reader, session.cases[i].item, i + 1, said(a.said), a.seconds.toFixed(1), a.visits, a.changes]
        .join("\t"));
    return [this.columns.join("\t"), ...lines].join("\n") + "\n";
  }

  get fileName() { return `reading-${this.session.session}-${this.reader}.tsv`; }

  // Goes on from an exported file; returns what is wrong with it, or null.
  load(text) {
    const rows = text.replace(/^\ufeff/, "").trim().split(/\r?\n/).map((line) => line.split("\t"));
    if (rows[0].join() !== this.columns.join()) return "This is no file that this page exported.";
    const places = new Map(this.session.cases.map((one, i) => [one.item, i]));
    const answers = [];
    for (const [session, , item, , said, seconds, visits, changes] of rows.slice(1)) {
      if (session !== this.session.session || !places.has(item)) return "This file is of another session.";
      const value = said === "nan" ? null : this.session.mode === "pairs" ? said : Number(said);
      answers[places.get(item)] = { said: value, seconds: +seconds, visits: +visits, changes: +changes };
    }
    if (answers.filter(Boolean).length !== this.answers.length) return "This file does not hold every case.";
    this.answers = answers;
    this.at = Math.max(0, answers.findIndex((answer) => answer.said === null));
    this.save();
    return null;
  }
}
